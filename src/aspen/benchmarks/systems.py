"""Aspen as a system under test: at its default settings, and with parts of it switched off or added."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aspen.aspen import Aspen
from aspen.benchmarks.interface import Advance, Embedder, Question
from aspen.config import Config
from aspen.models import LanguageModel
from aspen.types import MemoryItem

_AT_ONCE = 128
"""Memories of one transaction, as `aspen import` does it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of asking `Aspen.recall`. `minilm`: with MiniLM as its vector arm."""

    arms: tuple[str, ...] | None = None
    spread: bool = True
    minilm: bool = False


DEFAULT = "aspen"
"""The product at its default settings."""
VARIANTS: Mapping[str, Variant] = {
    "bm25": Variant(arms=("keyword",), spread=False),
    "bm25_spreading": Variant(arms=("keyword",)),
    "activation": Variant(arms=("activation",), spread=False),
    "hybrid": Variant(spread=False),
    DEFAULT: Variant(),
    "bm25_minilm": Variant(arms=("keyword", "vector"), spread=False, minilm=True),
    "bm25_minilm_spreading": Variant(arms=("keyword", "vector"), minilm=True),
    "aspen_minilm": Variant(minilm=True),
}
"""A system a line: to measure another way of asking, add one."""


def ablations(arms: Sequence[str]) -> dict[str, Variant]:
    """The default without each of its `arms`, one at a time."""
    return {
        f"{DEFAULT}_without_{arm}": Variant(arms=tuple(other for other in arms if other != arm))
        for arm in arms
        if len(arms) > 1
    }


class Stores:
    """The stores that all variants search, written once: one for all conversations or, `apart`, one for each."""

    def __init__(
        self,
        folder: Path,
        *,
        model: str | LanguageModel | None,
        config: Config,
        apart: bool = False,
        notify: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Loads the model, so that loading it does not count as writing."""
        self._folder, self._config, self._apart = folder, config, apart
        with Aspen.open(":memory:", model=model, config=config, notify=notify) as first:
            self.model = first.model
            self.arm_names = first.engine.search.arm_names
        self._open = ExitStack()
        self._seconds: float | None = None
        self._stores: dict[str, Aspen] = {}

    def close(self) -> None:
        """Close every store."""
        self._open.close()

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`, the first time; returns the seconds that took."""
        if self._seconds is None:
            started = time.perf_counter()
            done = 0
            for batch in self._batches(items):
                self.holding(batch[0].conversation or "").remember_many(batch)
                done += len(batch)
                advance(done)
            self._seconds = time.perf_counter() - started
        return self._seconds

    def _batches(self, items: Sequence[MemoryItem]) -> Iterator[Sequence[MemoryItem]]:
        parts: dict[str | None, list[MemoryItem]] = {}
        for item in items:
            parts.setdefault(item.conversation if self._apart else None, []).append(item)
        for part in parts.values():
            for start in range(0, len(part), _AT_ONCE):
                yield part[start : start + _AT_ONCE]

    def holding(self, group: str) -> Aspen:
        """The store that holds the conversation `group`, or will hold it."""
        name = group if self._apart else ""
        if name not in self._stores:
            path = self._folder / f"{len(self._stores)}.db"
            self._stores[name] = self._open.enter_context(
                Aspen.open(path, model=self.model, config=self._config)
            )
        return self._stores[name]

    @property
    def names(self) -> list[str]:
        """What `holding` takes: a name for each store."""
        return list(self._stores)


class EmbeddedStores:
    """The same stores opened a second time, with the vector arm of an embedder."""

    def __init__(self, stores: Stores, embedder: Embedder, *, config: Config) -> None:
        self._stores, self._embedder, self._config = stores, embedder, config
        self._open = ExitStack()
        self._embedding: dict[str, Aspen] = {}
        self._seconds: float | None = None

    def close(self) -> None:
        """Close them; the stores below stay open."""
        self._open.close()

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`, and embed them; both once."""
        below = self._stores.write(items, advance=advance)
        if self._seconds is None:
            started = time.perf_counter()
            self._embedding = {name: self._embedded(name) for name in self._stores.names}
            self._seconds = time.perf_counter() - started
        return below + self._seconds

    def _embedded(self, name: str) -> Aspen:
        location = self._stores.holding(name).repository.location
        aspen = self._open.enter_context(
            Aspen.open(location, model=self._stores.model, config=self._config, embedder=self._embedder)
        )
        aspen.recall("anything", arms=["vector"])  # memories get their vectors at the first search
        return aspen

    def holding(self, group: str) -> Aspen:
        """The store that holds the conversation `group`."""
        return self._embedding[group if group in self._embedding else ""]


class AspenSystem:
    """One way of asking, of stores that others search as well."""

    def __init__(self, name: str, variant: Variant, stores: Stores | EmbeddedStores) -> None:
        self.name = name
        self._variant, self._stores = variant, stores

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing: whoever made the stores closes them."""

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`, unless another system did; the seconds that took then."""
        return self._stores.write(items, advance=advance)

    def search(self, question: Question, *, limit: int) -> list[str]:
        """The sources of what `Aspen.recall` returns."""
        recall = self._stores.holding(question.group).recall(
            question.text,
            conversation=question.group or None,
            limit=limit,
            arms=self._variant.arms,
            spread=self._variant.spread,
        )
        return [hit.memory.source or "" for hit in recall.hits]
