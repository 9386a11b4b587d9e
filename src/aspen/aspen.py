"""The front door: one object that remembers, recalls, chats and replays. It composes the parts, and decides nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from aspen.activation_db import decode_trace
from aspen.activation_logger import Recording, record
from aspen.config import Config
from aspen.engine import Engine
from aspen.hits import hits_of
from aspen.items import check_item, memory_id
from aspen.memory_injector import write_note
from aspen.models import LanguageModel, load_model
from aspen.repository import Repository, open_repository
from aspen.rerank import load_reranker, rerank_hits
from aspen.resonance_search import NEED_A_MODEL, NEED_A_PASS, Embedder, Query, ResonanceSearch
from aspen.resonance_search.reranking import DEPTH, ContextReranker
from aspen.seed_manager import ReplayReport, choose_seed, replay
from aspen.turn import Reply, Turn, answer, history_of
from aspen.types import Memory, MemoryItem, Provenance, Recall, SamplerSettings, Trace, TraceLevel
from aspen.validation import check_count, check_kind, check_name, check_text


class Aspen:
    """A store of memories, and the model that remembers.

    ::

        with Aspen.open("memory.db") as aspen:
            aspen.remember("My sister Mara moved to Lisbon.", speaker="Ann")
            print(aspen.recall("Who lives in Portugal?").hits[0].memory.text)

    Make one with `Aspen.open`. Threads may share it; the model serves them one after the other.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        load: Callable[[], LanguageModel],
        config: Config,
        embedder: Embedder | None = None,
        notify: Callable[[str], None] = lambda message: None,
        owns_repository: bool = True,
    ) -> None:
        self.repository = repository
        self.config = config
        self._load = load
        self._embedder = embedder
        self._notify = notify
        self._owns_repository = owns_repository
        self._engine: Engine | None = None
        self._by_words = ResonanceSearch(repository, keys=None)
        self._lock = threading.Lock()

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
            "bundled", a Hugging Face id, a folder, or a loaded model; `config.model` where None. It is loaded when
            it is first needed: listing and forgetting do not wait for it.
        embedder:
            A sentence embedder for a third arm, "vector"; its vectors are kept in the store.
        config:
            Settings; from the environment where None.
        notify:
            Called with a sentence when something takes long (converting or calibrating a model, once each).
        """
        settings = config or Config.from_environment()

        def load() -> LanguageModel:
            if model is not None and not isinstance(model, str):
                return model
            return load_model(
                model or settings.model,
                cache_dir=settings.cache_dir,
                device=settings.device,
                dtype=settings.dtype,
                threads=settings.threads,
                progress=notify,
            )

        if isinstance(store, str | Path):
            return cls(open_repository(store), load=load, config=settings, embedder=embedder, notify=notify)
        return cls(store, load=load, config=settings, embedder=embedder, notify=notify, owns_repository=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
                )
            return self._engine

    @cached_property
    def reranker(self) -> ContextReranker:
        """What re-ranks with the model, see `recall(rerank=True)`; loaded, or learned, at its first use."""
        return load_reranker(self.engine, cache_dir=self.config.cache_dir, notify=self._notify)

    @property
    def model(self) -> LanguageModel:
        """The language model; loaded now if it was not yet."""
        return self.engine.model

    # -- remember ------------------------------------------------------------------------------------------

    def remember(
        self,
        text: str,
        *,
        speaker: str | None = None,
        said_at: datetime | None = None,
        conversation: str | None = None,
        source: str | None = None,
    ) -> Memory:
        """Remember one text. Remembering the same again changes nothing and returns what is there.

        At most 100,000 characters, names at most 500; a `said_at` without a time zone is UTC. Errors: `remember_many`.
        """
        return self.remember_many([MemoryItem(text, speaker, said_at, conversation, source)])[0]

    def remember_many(
        self,
        items: Sequence[MemoryItem | Mapping[str, object]],
        *,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Memory]:
        """Remember many texts in one transaction; returns their memories in the order of `items`.

        Mappings have the fields of MemoryItem, `said_at` as a datetime or an ISO 8601 string. `progress` is called
        with the number of new texts encoded so far.

        InvalidInput names the first bad item; nothing is stored then. ModelMismatch where the store's keys are another
        model's (see `rekey`), StoreNotWritable where it can only be read.
        """
        check_kind(items, list | tuple, what="items")
        checked = [check_item(item, position=position) for position, item in enumerate(items)]
        ids = [memory_id(item) for item in checked]
        known = self.repository.known(ids)
        new = {id_: item for id_, item in zip(ids, checked, strict=True) if id_ not in known}
        if new:
            self.engine.claim_store()
            encoded = self.engine.encode(list(new.items()), progress=progress)
            self.repository.add(encoded, stamp=self.engine.stamp)
        return self.repository.get(ids)

    def forget(self, *memory_ids: str) -> int:
        """Delete memories, for good. Returns how many traces went with them. When it returns,

        - the store has no text, keys, words, names, traits or edges of them any more, no trace in whose prompt one of
          them stood, and no statistics fitted on them; what was deleted is overwritten in its files (in the log
          beside them as soon as no other process reads an older state). Only their numbers (`seq`) stay.
        - this object holds nothing of them: columns, keys, vectors, stems of words and cached pages of the store are
          let go. Memory that is freed is not overwritten: what stood in it is gone for certain when the process ends.

        What was handed out (`Memory`, `Recall`, `Reply`) is the caller's. Other processes that have the store open let
        go at their next recall. Copies made by `backup` or `export` stay as they are. NotFound, and nothing is
        deleted, if one id is unknown.
        """
        for id_ in memory_ids:
            check_kind(id_, str, what="memory id")
        traces = self.repository.forget(memory_ids)
        self._by_words.forget()
        if self._engine is not None:
            self._engine.search.forget()
        return traces

    def rekey(self, *, progress: Callable[[int], None] = lambda done: None) -> int:
        """Make all keys anew with the model in use, and let the store belong to it; returns how many were made.

        May be interrupted: until the last key is made the store goes on with the keys it has, and the next call begins
        where this one ended. `progress` is called with the number of keys made so far.
        """
        return self.engine.rekey(progress=progress)

    # -- recall --------------------------------------------------------------------------------------------

    def recall(
        self,
        prompt: str,
        *,
        limit: int = 10,
        conversation: str | None = None,
        spread: bool = True,
        arms: Collection[str] | None = None,
        provenances: Collection[Provenance] | None = None,
        exclude: Collection[Memory] = (),
        rerank: bool = False,
        asked_at: datetime | None = None,
    ) -> Recall:
        """The memories that resonate with `prompt`, best first.

        InvalidInput for an arm that there is not, and for priors without an arm; NotFound for a conversation without
        memories. Where the store's keys are another model's, recall goes by words alone and says so in `Recall.arms`;
        asked for "activation" or "heads" by name, it raises ModelMismatch.

        Parameters
        ----------
        limit:
            Most hits, in [1, 10,000].
        conversation:
            Search this conversation only.
        spread:
            Let activation spread to the turns around what was found, and over the names in it.
        arms:
            Names of the arms ("activation", "keyword", "heads", "vector") and priors ("subject", "dates", "traits")
            to run; all that can run, where None.
        provenances:
            Return memories of these provenances only.
        exclude:
            Memories not to return, such as those that stand in the prompt already.
        rerank:
            Read the first hits again together with the prompt, unless the first is clear, and order them by what the
            model then attends to: better hits for a second pass of some hundred milliseconds. For a model that Aspen
            does not know, weights are learned at the first use, which takes minutes. ModelError where the model's
            heads cannot be told apart.
        asked_at:
            When the prompt was asked, which "last week" counts from, in its own time zone (UTC where it has none);
            now, in the local one, where None.
        """
        check_text(prompt, what="prompt")
        check_count(limit, what="limit")
        check_name(conversation, what="conversation")
        if arms is not None:
            check_kind(arms, list | tuple | set | frozenset, what="arms")
        query, partial_pass = Query.asked(prompt, at=asked_at), None
        search = self._search(arms)  # may load the model, which is no part of a recall's time
        reranker = self.reranker if rerank else None
        started = time.perf_counter()
        if arms is None or not NEED_A_PASS.isdisjoint(arms):
            encoded, partial_pass = self.engine.encoder.encode_query(prompt)
            query = replace(query, pooled=encoded.pooled, heads=encoded.heads)
        result = search.search(
            query,
            limit=max(limit, DEPTH) if reranker else limit,
            conversation=conversation,
            spread=spread,
            arms=arms,
            exclude=[memory.seq for memory in exclude],
            provenances=provenances,
        )
        if reranker:
            result = rerank_hits(reranker, prompt, result, repository=self.repository, limit=limit)
        return Recall(
            prompt=prompt,
            hits=hits_of(result, repository=self.repository),
            familiarity=result.overall_familiarity,
            candidates=len(result.seqs),
            arms=result.arms,
            partial_pass=partial_pass,
            seconds=time.perf_counter() - started,
        )

    def _search(self, arms: Collection[str] | None) -> ResonanceSearch:
        """The search with the model's keys; one by words alone where no more is asked and it is not loaded yet."""
        if self._engine is None and arms is not None and NEED_A_MODEL.isdisjoint(arms):
            return self._by_words
        return self.engine.search

    # -- chat ----------------------------------------------------------------------------------------------

    def chat(
        self,
        message: str,
        *,
        conversation: str = "default",
        seed: int | None = None,
        memory: bool = True,
        remember: bool = True,
        sampler: SamplerSettings | None = None,
        max_tokens: int = 256,
        note_tokens: int = 200,
        system: str | None = None,
        level: TraceLevel = TraceLevel.POOLED,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer `message`, with a note of what resonates with it, and remember the turn with its activations.

        PromptTooLong where the message leaves no room for a reply; if `remember`, also what `remember_many` raises.

        Parameters
        ----------
        conversation:
            Its last messages go before `message`, and the turn is stored in it.
        seed:
            Of the sampler, in [0, 2**53 - 1]; drawn from the system's secure source where None. Either way it is in
            the reply.
        memory, remember:
            Whether to recall for this message, and whether to store the turn.
        sampler:
            How tokens are drawn; `SamplerSettings()` where None.
        max_tokens:
            Most tokens of the reply, >= 1. At most half of the context is kept free for it.
        note_tokens:
            Most tokens of the memory note, >= 0; never more than a quarter of the context.
        system:
            A system prompt of your own; the model's default where None.
        level:
            How much of the activations the trace keeps.
        on_text:
            Called with each piece of the reply as it is generated.
        """
        check_text(message, what="message")
        check_name(check_text(conversation, what="conversation"), what="conversation")
        if system is not None:
            check_text(system, what="system")
        check_count(max_tokens, what="max_tokens", maximum=1_000_000)
        check_count(note_tokens, what="note_tokens", minimum=0, maximum=1_000_000)
        check_kind(sampler, SamplerSettings | None, what="sampler")
        check_kind(level, TraceLevel, what="level")
        seed, sampler = choose_seed(seed), sampler or SamplerSettings()
        if remember:
            self.engine.claim_store()
        history = history_of(self.engine, conversation)
        recall, note = None, None
        if memory:
            # What the model itself said stays out of the notes: it would repeat its own mistakes as facts.
            said = (Provenance.SAID, Provenance.IMPORTED)
            recall = self.recall(message, provenances=said, exclude=history)
            note = write_note(
                recall.hits,
                prompt=message,
                budget=min(note_tokens, self.model.info.context_length // 4),
                count_tokens=lambda text: len(self.model.tokenize(text)),
            )
        return answer(
            self.engine,
            Turn(message, conversation, seed, sampler, max_tokens, system, level),
            history=history,
            note=note,
            recall=recall,
            remember=remember,
            on_text=on_text,
        )

    # -- traces --------------------------------------------------------------------------------------------

    def record(self) -> AbstractContextManager[Recording]:
        """Record the next session of `aspen.model` that is started inside the context, whatever code runs it."""
        return record(self.model)

    def trace(self, trace_id: str) -> Trace:
        """A stored trace, at the level it was kept. NotFound where there is none of this id."""
        check_kind(trace_id, str, what="trace_id")
        return decode_trace(self.repository.trace(trace_id))

    def replay(self, trace_id: str) -> ReplayReport:
        """Run a trace again, and say whether tokens and activations are the same bit for bit. NotFound: see `trace`.

        Where they cannot be the same, for the model or the machine is another, the report says so.
        """
        return replay(self.model, self.trace(trace_id))
