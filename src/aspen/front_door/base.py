"""What every part of the front door stands on: an open store, and a model that is loaded when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from aspen.config import Config
from aspen.engine import Engine
from aspen.engine.reranker import load_reranker
from aspen.front_door.commands import command
from aspen.models import LanguageModel, load_model
from aspen.repository import Repository, open_repository
from aspen.resonance_search import Embedder, ResonanceSearch
from aspen.resonance_search.reranking import ContextReranker
from aspen.validation import check_kind


class FrontDoor:
    """A store and a model."""

    def __init__(
        self,
        repository: Repository,
        *,
        load: Callable[[], LanguageModel],
        config: Config,
        embedder: Embedder | None = None,
        notify: Callable[[str], None] = lambda message: None,
        owns_repository: bool = True,
        model_by_name: bool = False,
    ) -> None:
        """`model_by_name` says whether `load` loads the model that `config` names, as a command would."""
        self.repository = repository
        self.config = config
        self._load = load
        self._embedder = embedder
        self._notify = notify
        self._owns_repository = owns_repository
        self._model_by_name = model_by_name
        self._engine: Engine | None = None
        self._by_words = ResonanceSearch(repository, keys=None)
        self._lock = threading.Lock()
        self._at_forgetting: list[Callable[[], None]] = []

    @classmethod
    def open(
        cls,
        store: str | Path | Repository,
        *,
        model: str | LanguageModel | None = None,
        embedder: Embedder | None = None,
        config: Config | None = None,
        notify: Callable[[str], None] = lambda message: None,
    ) -> Self:
        """Open a store, or create it.

        Parameters
        ----------
        store:
            Path of a store file, ":memory:", or a repository, which the caller goes on owning.
        model:
            "bundled", a .gguf file, "ollama:NAME", a Hugging Face id, a folder, or a loaded model; `config.model`
            where None. It is loaded when
            it is first needed: listing and forgetting do not wait for it.
        embedder:
            A sentence embedder for a third arm, "vector"; its vectors are kept in the store.
        config:
            Settings; from the environment where None.
        notify:
            Called with a sentence when something takes long (converting or calibrating a model, once each).
        """
        settings = config or Config.from_environment()
        by_name = model is None or isinstance(model, str)
        if isinstance(model, str) and model:
            settings = replace(settings, model=model)

        def load() -> LanguageModel:
            if model is not None and not isinstance(model, str):
                return model
            return load_model(
                settings.model,
                cache_dir=settings.cache_dir,
                runtime=settings.runtime,
                device=settings.device,
                dtype=settings.dtype,
                threads=settings.threads,
                llama_library=settings.llama_library,
                progress=notify,
            )

        return cls(
            open_repository(store) if isinstance(store, str | Path) else store,
            load=load,
            config=settings,
            embedder=embedder,
            notify=notify,
            owns_repository=isinstance(store, str | Path),
            model_by_name=by_name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seqs(self, ids: Iterable[str]) -> dict[str, int]:
        """The seqs of memories by id; NotFound names the first unknown one."""
        wanted = list(dict.fromkeys(ids))
        for id_ in wanted:
            check_kind(id_, str, what="memory id")
        return {memory.id: memory.seq for memory in self.repository.get(wanted)}

    def at_forgetting(self, let_go: Callable[[], None]) -> None:
        """Call `let_go` whenever memories are forgotten: for whoever holds something that was made of them."""
        self._at_forgetting.append(let_go)

    def close(self) -> None:
        """Close the store, unless it was handed in open."""
        if self._owns_repository:
            self.repository.close()

    @property
    def engine(self) -> Engine:
        """The model with its keys and search; loaded now if it was not yet."""
        with self._lock:
            if self._engine is None:
                self._engine = Engine.start(
                    self._load(),
                    repository=self.repository,
                    cache_dir=self.config.cache_dir,
                    notify=self._notify,
                    embedder=self._embedder,
                    rekey=self._rekey_command(),
                )
            return self._engine

    def _rekey_command(self) -> str:
        """What makes the store's keys anew with the model in use: no command can where it has no name."""
        location = self.repository.location
        if not self._model_by_name or location == ":memory:":
            return "Aspen.rekey"
        return command("rekey", store=location, config=self.config)

    @cached_property
    def reranker(self) -> ContextReranker:
        """What re-ranks with the model, see `recall(rerank=True)`; loaded, or learned, at its first use."""
        return load_reranker(self.engine, cache_dir=self.config.cache_dir, notify=self._notify)

    @property
    def model(self) -> LanguageModel:
        """The language model; loaded now if it was not yet."""
        return self.engine.model
