"""The hops of a recall, told edge by edge: over turns, over names, and over relations.

Each kind of spreading has rules of its own; here they stand side by side, hop by hop, so that they can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph import TurnGraph, carried_edges, turn_rounds
from aspen.resonance_search.entities import NameActivation
from aspen.resonance_search.ranking import Ranking
from aspen.resonance_search.relations import RelationActivation
from aspen.resonance_search.snapshot import Candidates

TURN, NAME = "turn", "name"
"""What edges are called that are no relations of the store: between turns that follow each other, and over a name."""
_MOST_OTHERS = 200
"""Relations of a hop that are told of though they do not lead to a memory that is."""


@dataclass(frozen=True, slots=True)
class ToldEdge:
    """An edge between memories, by seq, and the activation that it `carried`; `via` is the name that joins them."""

    source: int
    target: int
    relation: str
    weight: float
    carried: float
    via: str = ""


@dataclass(frozen=True, slots=True)
class ToldFrame:
    """One hop: what `arrived` by seq, over which `edges`, and how many more of them there were."""

    arrived: Mapping[int, float]
    edges: tuple[ToldEdge, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class TurnRounds:
    """What each edge between turns carried, float64 [m] of each hop; none where nothing spread."""

    graph: TurnGraph
    rounds: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, ranking: Ranking, candidates: Candidates) -> TurnRounds:
        """The same as `Ranking` computed."""
        graph, settings = candidates.time_graph, ranking.settings
        if not ranking.spreads:
            return cls(graph, ())
        return cls(
            graph, tuple(turn_rounds(graph, ranking.initial, hops=settings.hops, decay=settings.decay))
        )

    def arrived(self) -> NDArray[np.float64]:
        """What came to each node, over all hops [n]."""
        n = self.graph.n_nodes
        arrived = np.zeros(n)
        for carried in self.rounds:
            arrived += np.bincount(self.graph.targets, carried, minlength=n)
        return arrived

    def edges_to(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Of each hop the edges that lie on a way to one of `rows`, all of them into the nodes that they reach."""
        found: list[NDArray[np.int64]] = []
        wanted = np.zeros(self.graph.n_nodes, dtype=np.bool_)
        wanted[rows] = True
        for carried in reversed(self.rounds):
            edges = np.flatnonzero((carried > 0) & wanted[self.graph.targets])
            found.append(edges)
            wanted = wanted.copy()
            wanted[self.graph.sources[edges]] = True
        return found[::-1]


def told_frames(
    ranking: Ranking,
    rows: NDArray[np.int64],
    candidates: Candidates,
    *,
    turns: TurnRounds,
    names: NameActivation,
    relations: RelationActivation,
) -> tuple[ToldFrame, ...]:
    """Hop by hop what led to the candidates `rows`; none where nothing spread.

    Frame 0 is what activation started from: the score before spreading, or what the arms alone say, where that is more,
    for neighbouring turns start from that.
    """
    if not ranking.spreads:
        return ()
    seqs = candidates.seqs
    kinds = (
        _over_turns(turns, rows, seqs),
        [_over_names(names, rows, seqs, direct=ranking.direct)],
        _over_relations(relations, seqs[rows]),
    )
    hops = [_joined([frame for frame in hop if frame is not None]) for hop in zip_longest(*kinds)]
    while hops and not hops[-1].edges:
        hops.pop()
    if not hops:
        return ()
    start = np.maximum(ranking.direct, ranking.initial)
    here = {int(seq): row for row, seq in enumerate(seqs.tolist())}
    seeds = {edge.source for edge in hops[0].edges}
    return (ToldFrame({seq: float(start[here[seq]]) for seq in seeds if seq in here}, ()), *hops)


def _over_turns(turns: TurnRounds, rows: NDArray[np.int64], seqs: NDArray[np.int64]) -> list[ToldFrame]:
    frames = []
    graph = turns.graph
    for carried, edges in zip(turns.rounds, turns.edges_to(rows), strict=True):
        columns = (
            seqs[graph.sources[edges]],
            seqs[graph.targets[edges]],
            graph.weights[edges],
            carried[edges],
        )
        told = [
            ToldEdge(source, target, TURN, weight, brought)
            for source, target, weight, brought in zip(*(one.tolist() for one in columns), strict=True)
        ]
        frames.append(ToldFrame(_sums(told), tuple(told)))
    return frames


def _over_names(
    names: NameActivation,
    rows: NDArray[np.int64],
    seqs: NDArray[np.int64],
    *,
    direct: NDArray[np.float64],
) -> ToldFrame:
    told = []
    for row in rows.tolist():
        if row in names.origins:
            seed, name = names.origins[row]
            brought = float(names.arrived[row])
            weight = brought / float(direct[seed])
            told.append(ToldEdge(int(seqs[seed]), int(seqs[row]), NAME, weight, brought, via=name))
    return ToldFrame(_sums(told), tuple(told))


def _over_relations(relations: RelationActivation, told: NDArray[np.int64]) -> list[ToldFrame]:
    frames = []
    for hop in relations.hops:
        edges, arrived = carried_edges(hop, into=told, most=_MOST_OTHERS), hop.arrived()
        carried = relations.lowered * edges.carried
        columns = (edges.sources, edges.targets, edges.weights, carried)
        rows = zip(*(one.tolist() for one in columns), edges.relations, strict=True)
        ends = np.isin(arrived.nodes, edges.targets)
        values = (relations.lowered * arrived.values[ends]).tolist()
        frames.append(
            ToldFrame(
                dict(zip(arrived.nodes[ends].tolist(), values, strict=True)),
                tuple(
                    ToldEdge(source, target, relation, weight, brought)
                    for source, target, weight, brought, relation in rows
                ),
                edges.left_out,
            )
        )
    return frames


def _sums(edges: Sequence[ToldEdge]) -> dict[int, float]:
    """What came to each target."""
    arrived: dict[int, float] = {}
    for edge in edges:
        arrived[edge.target] = arrived.get(edge.target, 0.0) + edge.carried
    return arrived


def _joined(frames: Sequence[ToldFrame]) -> ToldFrame:
    """One hop of all kinds, the strongest edges first."""
    arrived: dict[int, float] = {}
    for frame in frames:
        for seq, value in frame.arrived.items():
            arrived[seq] = arrived.get(seq, 0.0) + value
    edges = sorted(
        (edge for frame in frames for edge in frame.edges),
        key=lambda edge: (-edge.carried, edge.source, edge.target, edge.relation),
    )
    return ToldFrame(arrived, tuple(edges), sum(frame.left_out for frame in frames))
