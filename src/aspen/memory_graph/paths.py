"""The strongest paths that activation took to a node, found in what its hops recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen.memory_graph.hops import Frame, Hop
from aspen.memory_graph.numbering import Rows, Values

_ROUNDING = 1 - 1e-9
"""A bound and the value that it bounds multiply the same factors in different orders."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way activation took: `nodes` from a seed to the node reached, the types of the edges, and what it brought."""

    nodes: tuple[int, ...]
    relations: tuple[str, ...]
    contribution: float


@dataclass(frozen=True, slots=True)
class _Ends:
    """The last edges of some paths, followed backwards.

    edges: one column per hop, the last hop first, each int64 [p] with rows of that hop's edges. gains: float64 [p],
    what these edges but the foremost make of what is passed to them. bounds: float64 [p], what the strongest path
    with this end brings.
    """

    edges: tuple[Rows, ...]
    gains: Values
    bounds: Values

    def take(self, rows: Rows) -> _Ends:
        return _Ends(tuple(column[rows] for column in self.edges), self.gains[rows], self.bounds[rows])


class PathFinder:
    """Finds paths through recorded hops.

    Backwards from the node, one hop at a time: for each edge it is known what the strongest path that ends with it
    brings, and ends that cannot be among the strongest are dropped. So the work does not grow with the number of
    paths, but for those that are exactly as strong.
    """

    def __init__(self, seeds: Frame, hops: Sequence[Hop]) -> None:
        self._seeds = seeds
        self._hops = hops

    def strongest(self, node: int, *, limit: int) -> list[Path]:
        """The `limit` paths that brought `node` the most; ties: shorter, then smaller nodes, then types."""
        found = [
            path
            for length in range(1, len(self._hops) + 1)
            for path in self._of_length(length, node, limit=limit)
        ]
        found.sort(key=lambda path: (-path.contribution, len(path.nodes), path.nodes, path.relations))
        return found[: max(limit, 0)]

    @cached_property
    def _best(self) -> list[Values]:
        """For each hop and edge, what the strongest path that ends with it brings: spreading with max for the sum."""
        best: list[Values] = []
        for number, hop in enumerate(self._hops):
            if number == 0:
                best.append(hop.carried)  # over one edge there is one path
            else:
                before = self._hops[number - 1]
                best.append(hop.carry(before.greatest_passed(hop.edges, best[-1])))
        return best

    def _of_length(self, length: int, node: int, *, limit: int) -> list[Path]:
        """As `strongest`, of the paths over `length` edges."""
        last = np.flatnonzero(self._hops[length - 1].edges.targets == node)
        ends = _contenders(_Ends((last,), np.ones(len(last)), self._best[length - 1][last]), limit)
        for number in range(length - 1, 0, -1):
            ends = _contenders(self._longer(ends, number), limit)
        return self._paths(ends, self._hops[:length], limit=limit)

    def _longer(self, ends: _Ends, number: int) -> _Ends:
        """These ends, of which the foremost edges are in hop `number`, with each edge before them that may precede."""
        hop, before, foremost = self._hops[number], self._hops[number - 1], ends.edges[-1]
        gains = ends.gains * hop.edges.weights[foremost] * hop.boosts[foremost] * hop.decay
        sources = np.searchsorted(before.targets, hop.edges.sources[foremost])
        which, preceding = before.edges_into(sources)
        onward = before.edges.sources[preceding] != hop.edges.targets[foremost[which]]
        which, preceding = which[onward], preceding[onward]
        bounds = self._best[number - 1][preceding] * gains[which]
        longer = ends.take(which)
        return _Ends((*longer.edges, preceding), gains[which], bounds)

    def _paths(self, ends: _Ends, hops: Sequence[Hop], *, limit: int) -> list[Path]:
        """The `limit` best of whole paths."""
        columns = ends.edges[::-1]
        starts = hops[0].edges.sources[columns[0]]
        carried = self._seeds.values[np.searchsorted(self._seeds.nodes, starts)]
        nodes, types = [starts], []
        for hop, edges in zip(hops, columns, strict=True):
            # As in `Hop.carry`, so that a contribution is the same number wherever it is computed.
            carried = carried * hop.edges.weights[edges] * hop.boosts[edges] * hop.decay
            nodes.append(hop.edges.targets[edges])
            types.append(np.array(hop.edges.type_names, dtype=np.str_)[hop.edges.types[edges]])
        order = np.lexsort((*types[::-1], *nodes[::-1], -carried))[:limit]
        return [
            Path(
                tuple(int(column[row]) for column in nodes),
                tuple(str(column[row]) for column in types),
                float(carried[row]),
            )
            for row in order
        ]


def _contenders(ends: _Ends, limit: int) -> _Ends:
    """The ends that one of the `limit` strongest paths may have. As many paths as there are ends reach their bounds."""
    rows = np.flatnonzero(ends.bounds > 0)
    if 0 < limit < len(rows):
        least = np.partition(ends.bounds[rows], len(rows) - limit)[len(rows) - limit]
        rows = rows[ends.bounds[rows] >= least * _ROUNDING]
    return ends.take(rows)
