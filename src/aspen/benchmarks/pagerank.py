"""A graph in HippoRAG's way, without a language model: memories and the names in them, ranked by PageRank.

HippoRAG (Gutiérrez et al. 2024, 2025) lets a language model find entities and relations; here a name is a run of
capitalised words or a number. A question is linked to its names, and to memories by the cosine of MiniLM's vectors;
personalised PageRank carries that along the graph.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aspen.benchmarks.baselines import Groups, InMemorySystem, embedded
from aspen.benchmarks.interface import Advance, Question
from aspen.resonance_search import spoken_text
from aspen.types import FloatArray, MemoryItem

_NAME = re.compile(
    r"(?:[A-Z][\w'\u2019-]*|\d[\d.,]*\d|\d)(?:\s+(?:(?:of|the|de|von|van|and)\s+)?(?:[A-Z][\w'\u2019-]*|\d+))*"
)
_DAMPING = 0.5
_PASSAGE_WEIGHT = 0.05
"""Of memories against names among the seeds. Both as in HippoRAG 2."""
_ROUNDS = 30

Weights = NDArray[np.float64]


class PageRankSystem(InMemorySystem):
    """Seeds are the question's names and the memories near it."""

    name = "pagerank"

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Embed all, and draw a graph of each conversation."""
        started = time.perf_counter()
        self._groups = Groups(items)
        self._vectors: FloatArray = embedded(self._minilm, items, advance=advance)
        self._graphs: dict[str, Graph] = {}
        names = [names_in(spoken_text(item.text, speaker=item.speaker)) for item in items]
        for group in dict.fromkeys(["", *(item.conversation or "" for item in items)]):
            self._graphs[group] = Graph.of([names[row] for row in self._groups.rows(group)])
        return time.perf_counter() - started

    def search(self, question: Question, *, limit: int) -> list[str]:
        """The memories with the most of the rank."""
        rows = self._groups.rows(question.group)
        near = self._vectors[rows] @ self._minilm.embed([question.text])[0]
        scores = self._graphs[question.group].ranks(names_in(question.text), near=near)
        return self._groups.best(rows, scores, limit=limit)


def names_in(text: str) -> frozenset[str]:
    """Runs of capitalised words, and numbers, in lower case."""
    return frozenset(match.group().lower() for match in _NAME.finditer(text))


@dataclass(frozen=True, slots=True)
class Graph:
    """Memories 0..n-1, then names; edges both ways between a memory and each name in it."""

    size: int
    names: dict[str, int]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    degrees: Weights

    @classmethod
    def of(cls, names: Sequence[frozenset[str]]) -> Self:
        """The graph of memories with these names."""
        nodes: dict[str, int] = {}
        pairs = [
            (memory, nodes.setdefault(name, len(names) + len(nodes)))
            for memory, found in enumerate(names)
            for name in sorted(found)
        ]
        one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        sources, targets = np.concatenate([one, other]), np.concatenate([other, one])
        degrees = np.bincount(sources, minlength=len(names) + len(nodes)).astype(np.float64)
        return cls(len(names), nodes, sources, targets, degrees)

    def ranks(self, names: frozenset[str], *, near: FloatArray) -> Weights:
        """Personalised PageRank of the memories, given a question's names and cosines `near` [n]; [n]."""
        seeds = np.zeros(len(self.degrees))
        spread = float(np.ptp(near)) or 1.0
        seeds[: self.size] = _PASSAGE_WEIGHT * (near - near.min()) / spread
        for node in (self.names[name] for name in names if name in self.names):
            seeds[node] = 1 / self.degrees[node]  # a name that is everywhere says little
        seeds /= seeds.sum() or 1.0
        ranks = seeds
        for _ in range(_ROUNDS):
            shares = ranks / np.maximum(self.degrees, 1)
            moved = np.bincount(self.targets, weights=shares[self.sources], minlength=len(ranks))
            # What would move from a node without edges goes back to the seeds.
            ranks = _DAMPING * (moved + (1 - moved.sum()) * seeds) + (1 - _DAMPING) * seeds
        return ranks[: self.size]
