"""Aspen as a system under test: at its default settings, and with parts of it switched off or added."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from aspen.aspen import Aspen
from aspen.benchmarks.interface import Advance, Embedder, Question
from aspen.config import Config
from aspen.hits import hits_of
from aspen.items import memory_id
from aspen.memory_graph import preset_settings
from aspen.models import LanguageModel
from aspen.repository import NewMemory
from aspen.resonance_search import Query, RankingSettings
from aspen.types import MemoryItem

_AT_ONCE = 128
"""Memories of one transaction, as `aspen import` does it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of asking `Aspen.recall`. `minilm`: with MiniLM as its vector arm.

    ranking: where given, the search is asked straight, and ranks by it; `rerank` does not count then.
    """

    arms: tuple[str, ...] | None = None
    spread: bool = True
    minilm: bool = False
    ranking: RankingSettings | None = None
    rerank: bool = False


DEFAULT = "aspen"
"""The product at its default settings."""
RERANKED = f"{DEFAULT}_rerank"
"""The same, with the first hits read again."""
WITHOUT_EDGES: Mapping[str, Variant] = {
    f"{DEFAULT}_without_neighbours": Variant(ranking=RankingSettings(hops=0)),
    f"{DEFAULT}_without_session": Variant(ranking=RankingSettings(session_weight=0.0)),
    f"{DEFAULT}_without_names": Variant(ranking=RankingSettings(names=False)),
}
"""The default without each kind of edge that activation spreads over; `hybrid` is without all of them."""
_WITHOUT_MODEL = ("subject", "dates")
"""Priors that need no model: with them, what spreads differs from the default by what seeds it, and by nothing else."""
VARIANTS: Mapping[str, Variant] = {
    "bm25": Variant(arms=("keyword",), spread=False),
    "bm25_spreading": Variant(arms=("keyword", *_WITHOUT_MODEL)),
    "activation": Variant(arms=("activation",), spread=False),
    "hybrid": Variant(spread=False),
    DEFAULT: Variant(),
    RERANKED: Variant(rerank=True),
    "bm25_minilm": Variant(arms=("keyword", "vector"), spread=False, minilm=True),
    "bm25_minilm_spreading": Variant(arms=("keyword", "vector", *_WITHOUT_MODEL), minilm=True),
    "aspen_minilm": Variant(minilm=True),
    **WITHOUT_EDGES,
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
    """The stores that all variants search, written once: one for all conversations or, `apart`, one for each.

    Writing other memories starts over with new stores. `encode_once`: what was encoded for stores before is not
    encoded again, so that many small stores cost one pass of the model over each text.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str | LanguageModel | None,
        config: Config,
        apart: bool = False,
        encode_once: bool = False,
        notify: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Loads the model, so that loading it does not count as writing."""
        self._parent, self._config, self._apart = folder, config, apart
        self._encoded: dict[str, NewMemory] | None = {} if encode_once else None
        with Aspen.open(":memory:", model=model, config=config, notify=notify) as first:
            self.model = first.model
            self.arm_names = first.engine.search.arm_names
        self._open = ExitStack()
        self._items: tuple[MemoryItem, ...] | None = None
        self._seconds = 0.0
        self._stores: dict[str, Aspen] = {}

    @property
    def facts(self) -> dict[str, object]:
        """What a report says of the model and of the stores."""
        info = self.model.info
        return {
            "model": info.name,
            "architecture": info.architecture,
            "layers": info.n_layers,
            "width": info.width,
            "threads": self.model.fingerprint.threads,
            "stores": "one for each conversation" if self._apart else "one for all",
        }

    def close(self) -> None:
        """Close every store."""
        self._open.close()

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`, unless they are what was written last; returns the seconds that took."""
        if tuple(items) != self._items:
            self._start_over()
            started = time.perf_counter()
            done = 0
            for batch in self._batches(items):
                self._remember(self.holding(batch[0].conversation or ""), batch)
                done += len(batch)
                advance(done)
            self._items, self._seconds = tuple(items), time.perf_counter() - started
        return self._seconds

    def _start_over(self) -> None:
        self._open.close()
        self._stores = {}
        self._folder = Path(self._open.enter_context(TemporaryDirectory(dir=self._parent)))

    def _remember(self, aspen: Aspen, batch: Sequence[MemoryItem]) -> None:
        if self._encoded is None:
            aspen.remember_many(batch)
            return
        # What `remember_many` does, but for what is known.
        items = {memory_id(item): item for item in batch}
        known = aspen.repository.known(list(items))
        aspen.engine.claim_store()
        new = aspen.engine.encode([(id_, item) for id_, item in items.items() if id_ not in self._encoded])
        self._encoded |= {memory.id: memory for memory in new}
        memories = [self._encoded[id_] for id_ in items if id_ not in known]
        aspen.repository.add(memories, stamp=aspen.engine.stamp)

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
        self._items: tuple[MemoryItem, ...] | None = None
        self._seconds = 0.0

    def close(self) -> None:
        """Close them; the stores below stay open."""
        self._open.close()

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`, and embed them; both once."""
        below = self._stores.write(items, advance=advance)
        if tuple(items) != self._items:
            self._open.close()
            started = time.perf_counter()
            self._embedding = {name: self._embedded(name) for name in self._stores.names}
            self._items, self._seconds = tuple(items), time.perf_counter() - started
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
        aspen = self._stores.holding(question.group)
        if self._variant.ranking is not None:
            return self._ranked_by(self._variant.ranking, question, aspen=aspen, limit=limit)
        recall = aspen.recall(
            question.text,
            conversation=question.group or None,
            limit=limit,
            arms=self._variant.arms,
            use_spreading_activation=self._variant.spread,
            rerank=self._variant.rerank,
        )
        return [hit.memory.source or "" for hit in recall.hits]

    def _ranked_by(
        self, settings: RankingSettings, question: Question, *, aspen: Aspen, limit: int
    ) -> list[str]:
        """What `Aspen.recall` does but for how it ranks, which is none of its options."""
        encoded, _ = aspen.engine.encoder.encode_query(question.text)
        result = aspen.engine.search.search(
            Query(question.text, encoded.pooled, encoded.heads),
            limit=limit,
            conversation=question.group or None,
            arms=self._variant.arms,
            spread=self._variant.spread,
            settings=settings,
        )
        return [
            hit.memory.source or ""
            for hit in hits_of(result, repository=aspen.repository, spreading=preset_settings())
        ]
