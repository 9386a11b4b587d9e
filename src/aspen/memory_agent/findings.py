"""What the tools brought for one question, put together: which memories, how active, and over which ways."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aspen.hits import paths_of
from aspen.memory_graph import Activation, SpreadingSettings, TypedGraph, spread_activation
from aspen.repository import EdgeRows
from aspen.resonance_search import Way, query_terms
from aspen.types import ActivatedMemory, Edge, Hit, HitPath, Memory

SEEDS = 10
"""Direct hits that activation starts from, at most: as many as `recall` takes."""
_ASKED = 0.5
"""A query with this share of the question's words asks for the same."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What relations brought to a memory: how much, with which factor for its type, and over which ways."""

    value: float
    type_boost: float
    paths: tuple[HitPath, ...]


class Findings:
    """All that is known so far. `settings` say how activation spreads over relations that were read.

    hits: the better hit of each memory that searches found, by id.
    asked: whether a search asked what the question asks.
    spread_from: ids of the memories that activation was spread from.
    read: ids of the memories that were read with their relations.
    """

    def __init__(self, *, question: str, settings: SpreadingSettings) -> None:
        self._words = set(query_terms(question))
        self._known_words = set(self._words)
        self._settings = settings
        self._reached: dict[str, ActivatedMemory] = {}
        self._edges: dict[tuple[int, int, str], Edge] = {}
        self._memories: dict[str, Memory] = {}
        self.hits: dict[str, Hit] = {}
        self.asked = False
        self.spread_from: set[str] = set()
        self.read: set[str] = set()

    def add_hits(self, query: str, hits: Iterable[Hit]) -> None:
        """What a search for `query` found.

        Scores are those of the query. Where it does not ask what the question asks, they count as if activation had
        taken a step: less by the decay, and by the share of its words that neither the question nor what was found so
        far brought up. A query out of the blue finds nothing.
        """
        trust = self._trust(query)
        for hit in hits:
            self._memories[hit.memory.id] = hit.memory
            self._known_words |= set(query_terms(hit.memory.text)) if trust else set()
            known = self.hits.get(hit.memory.id)
            if trust and (known is None or hit.score * trust > known.score):
                self.hits[hit.memory.id] = _discounted(hit, trust)

    def _trust(self, query: str) -> float:
        """How much a search for `query` says about the question, in [0, 1]."""
        words = set(query_terms(query))
        if len(self._words & words) >= _ASKED * len(self._words):
            self.asked = True
            return 1.0
        return self._settings.decay * len(words & self._known_words) / max(len(words), 1)

    def add_spread(self, seeds: Collection[str], reached: Iterable[ActivatedMemory]) -> None:
        """Where activation went from `seeds`."""
        self.spread_from |= set(seeds)
        for one in reached:
            known = self._reached.get(one.memory.id)
            self._memories[one.memory.id] = one.memory
            if known is None or one.activation - one.seed > known.activation - known.seed:
                self._reached[one.memory.id] = one

    def add_read(self, memories: Iterable[Memory], *, edges: Iterable[Edge], ends: Iterable[Memory]) -> None:
        """Memories that were read, the relations that lead from them, and the memories at their ends."""
        for memory in memories:
            self._memories[memory.id] = memory
            self.read.add(memory.id)
        for end in ends:
            self._memories.setdefault(end.id, end)
        self._edges |= {(edge.source, edge.target, edge.type): edge for edge in edges}

    @property
    def memories(self) -> Mapping[str, Memory]:
        """Every memory that a tool brought, by id, those at the end of a relation as well."""
        return self._memories

    def seed_scores(self) -> dict[str, float]:
        """The best direct hits that stand out, at most SEEDS, best first: scores by id."""
        hits = [hit for hit in self.hits.values() if hit.seed_score > 0 and hit.corrected_by is None]
        best = sorted(hits, key=lambda hit: (-hit.seed_score, hit.memory.seq))[:SEEDS]
        return {hit.memory.id: hit.seed_score for hit in best}

    def leads_to(self, sources: Collection[str]) -> list[Memory]:
        """Where relations that were read lead from `sources`, most active first; `sources` are not among them."""
        by_seq = self._by_seq()
        seqs = {self._memories[id_].seq for id_ in sources}
        targets = {edge.target for edge in self._edges.values() if edge.source in seqs} - seqs
        active = self._over_read_relations()
        values = dict(zip(active.nodes.tolist(), active.values.tolist(), strict=True)) if active else {}
        return [by_seq[seq] for seq in sorted(targets, key=lambda seq: (-values.get(seq, 0.0), seq))]

    def arrivals(self) -> dict[str, Arrival]:
        """What relations brought, by id, to the memories whose text a tool brought.

        Where a memory was reached in several ways (spread in a search, by a tool, or over relations that were read),
        the greatest counts: they go over the same relations.
        """
        told = [
            *self._read_arrivals(),
            *(
                (id_, Arrival(one.activation - one.seed, one.type_boost, one.paths))
                for id_, one in self._reached.items()
            ),
            *((id_, Arrival(hit.activation, hit.type_boost, hit.paths)) for id_, hit in self.hits.items()),
        ]
        arrivals: dict[str, Arrival] = {}
        for id_, arrival in told:
            if arrival.value > 0 and (id_ not in arrivals or arrival.value > arrivals[id_].value):
                arrivals[id_] = arrival
        return arrivals

    def _read_arrivals(self) -> Iterable[tuple[str, Arrival]]:
        active, by_seq = self._over_read_relations(), self._by_seq()
        if active is None:
            return
        arrived = (active.values - active.seeds).tolist()
        for seq, value in zip(active.nodes.tolist(), arrived, strict=True):
            memory = by_seq[seq]
            if memory.id in self.read or memory.id in self.hits:
                ways = [
                    Way(path.nodes, path.contribution, relations=path.relations)
                    for path in active.paths_to(seq)
                ]
                boost = self._settings.type_boost.get(memory.type.value, 1.0)
                yield memory.id, Arrival(value, boost, paths_of(ways, by_seq))

    def _over_read_relations(self) -> Activation | None:
        """Activation of the direct hits, spread over the relations that were read and no others."""
        initial = {self._memories[id_].seq: score for id_, score in self.seed_scores().items()}
        if not initial or not self._edges:
            return None
        by_seq, edges = self._by_seq(), list(self._edges.values())
        graph = TypedGraph.of(
            np.array(list(by_seq), dtype=np.int64),
            types=[memory.type.value for memory in by_seq.values()],
            edges=EdgeRows(
                sources=np.array([edge.source for edge in edges], dtype=np.int64),
                targets=np.array([edge.target for edge in edges], dtype=np.int64),
                types=[edge.type for edge in edges],
                weights=np.array([edge.weight for edge in edges]),
                provenances=[edge.provenance.value for edge in edges],
            ),
        )
        return spread_activation(graph, initial, settings=self._settings)

    def _by_seq(self) -> dict[int, Memory]:
        return {memory.seq: memory for memory in self._memories.values()}


def _discounted(hit: Hit, share: float) -> Hit:
    """A hit with this share of its scores."""
    paths = (replace(path, contribution=path.contribution * share) for path in hit.paths)
    return replace(
        hit,
        score=hit.score * share,
        seed_score=hit.seed_score * share,
        activation=hit.activation * share,
        paths=tuple(paths),
    )
