"""Spreading over names: from what was found to memories that speak of the same person, place or thing.

No edge is stored. A name that two memories share joins them, and names are looked up when they are needed: from the
few best memories, over the names in them, to whatever else mentions these names or is about them. So an edge is
always as strong as the names are rare today.

An edge counts by the sentence it leaves from: of all names in a memory those matter that stand beside the words of
the prompt. Of several ways to a memory the strongest counts, not the sum: names come in families ("Ghent",
"University of Ghent") that say the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.repository import MentionRows, NameStore
from aspen.resonance_search.arms import Query
from aspen.resonance_search.keyword import PromptWords
from aspen.resonance_search.snapshot import Candidates
from aspen.types import Seqs

SEEDS = 5
"""Memories to start from: the best ones."""
MOST_MEMORIES = 10
"""A name of more memories than this says too little to join two of them."""
_ANY_SENTENCE, _BESIDE_THE_PROMPT = 0.5, 1.0  # weight of an edge, and what it gains by the prompt's words
_OWN_NAME = 0.1  # share of the prompt's words that a memory's title is taken to have
_SHARED = 0.6  # weight of a name that neither memory is about, divided by the root of the others that have it


@dataclass(frozen=True, slots=True)
class NameActivation:
    """What arrived over names. arrived: float64 [n]; origins: for each row reached, its seed's row and the name."""

    arrived: NDArray[np.float64]
    origins: dict[int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Edge:
    target: int
    name: str
    weight: float


def spread_over_names(
    store: NameStore, *, query: Query, candidates: Candidates, direct: NDArray[np.float64]
) -> NameActivation:
    """Activation of the SEEDS best candidates by `direct` [n], one hop over the names they share with others."""
    arrived, origins = np.zeros(len(direct)), {}
    seeds = [int(row) for row in np.argsort(-direct, kind="stable")[:SEEDS] if direct[row] > 0]
    if seeds:
        edges = _edges_from(store, seeds, query=query, candidates=candidates)
        for seed in seeds:
            for edge in edges(seed):
                brought = direct[seed] * edge.weight
                if edge.target != seed and brought > arrived[edge.target]:
                    arrived[edge.target] = brought
                    origins[edge.target] = (seed, edge.name)
    return NameActivation(arrived, origins)


def _edges_from(
    store: NameStore, seeds: Sequence[int], *, query: Query, candidates: Candidates
) -> Callable[[int], Iterator[_Edge]]:
    """Looks up all names of the seeds at once; returns a function from a seed to its edges."""
    seqs = candidates.seqs
    mentions = _by_seq(store.mentions([int(seqs[row]) for row in seeds]))
    subjects = {row: candidates.subject_names[int(candidates.subjects[row])] for row in seeds}
    names = {name for of_memory in mentions.values() for name, _, _ in of_memory}
    names |= {name for name in subjects.values() if name is not None}
    wanted = sorted(names)
    within, limit = candidates.conversation, MOST_MEMORIES + 1
    mentioning = _by_name(store.mentioning(wanted, conversation=within, limit=limit), seqs)
    about = _by_name(store.about(wanted, conversation=within, limit=limit), seqs)

    def edges(seed: int) -> Iterator[_Edge]:
        seq = int(seqs[seed])
        match = _PromptMatch(query.words, seq)
        for name, start, stop in mentions.get(seq, ()):
            gate = _ANY_SENTENCE + _BESIDE_THE_PROMPT * match.share(start, stop)
            yield from _over(name, gate, mentioning.get(name, []), about.get(name, []))
        own = subjects[seed]
        if own is not None and len(about.get(own, [])) <= MOST_MEMORIES:
            gate = _ANY_SENTENCE + _BESIDE_THE_PROMPT * _OWN_NAME
            others = mentioning.get(own, [])
            if len(others) <= MOST_MEMORIES:
                yield from (_Edge(row, own, gate) for row in others)

    return edges


def _over(name: str, gate: float, mentioning: Sequence[int], about: Sequence[int]) -> Iterator[_Edge]:
    """Edges from a memory that mentions `name`: to those about it, and to those that mention it too."""
    if len(about) <= MOST_MEMORIES:
        yield from (_Edge(row, name, gate) for row in about)
    with_name = len({*mentioning, *about})
    if 2 <= with_name <= MOST_MEMORIES:
        weight = gate * _SHARED / np.sqrt(with_name - 1)
        yield from (_Edge(row, name, weight) for row in mentioning)


class _PromptMatch:
    """How much of a prompt stands in the sentences of one memory."""

    def __init__(self, words: PromptWords | None, seq: int) -> None:
        self._idf = words.idf if words else np.zeros(0)
        self._words, self._places = words.places_in(seq) if words else (np.zeros(0, dtype=np.int64),) * 2
        self._shares: dict[tuple[int, int], float] = {}  # many names stand in one sentence

    def share(self, start: int, stop: int) -> float:
        """Share in [0, 1] of the prompt's words, by their idf, among the terms [start, stop)."""
        if (start, stop) not in self._shares:
            inside = np.unique(self._words[(self._places >= start) & (self._places < stop)])
            self._shares[start, stop] = float(self._idf[inside].sum() / max(float(self._idf.sum()), 1e-9))
        return self._shares[start, stop]


def _by_seq(rows: MentionRows) -> dict[int, list[tuple[str, int, int]]]:
    found: dict[int, list[tuple[str, int, int]]] = {}
    columns = (rows.seqs.tolist(), rows.names, rows.starts.tolist(), rows.stops.tolist())
    for seq, name, start, stop in zip(*columns, strict=True):
        found.setdefault(seq, []).append((name, start, stop))
    return found


def _by_name(rows: MentionRows, seqs: Seqs) -> dict[str, list[int]]:
    """Rows of the candidates `seqs` [n] by name."""
    found: dict[str, list[int]] = {}
    at = np.searchsorted(seqs, rows.seqs).clip(max=max(len(seqs) - 1, 0))
    for name, row, inside in zip(rows.names, at.tolist(), seqs[at] == rows.seqs, strict=True):
        if inside:
            found.setdefault(name, []).append(row)
    return found
