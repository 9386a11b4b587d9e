"""One hop of spreading activation: the edges it went over, what they carried, and what may go on from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph.edge_source import OutEdges
from aspen.memory_graph.numbering import Ids, Rows, Values, distinct, offsets_of, runs, sums


@dataclass(frozen=True, slots=True)
class Frame:
    """Nodes, int64 [n] ascending, and the activation > 0 that arrived at each in one hop, float64 [n]."""

    nodes: Ids
    values: Values

    def strongest(self, n: int) -> Frame:
        """The `n` most active nodes (of equal ones, those with smaller ids), in ascending order again."""
        if len(self.nodes) <= n:
            return self
        kept = np.sort(highest(self.values, n))
        return Frame(self.nodes[kept], self.values[kept])


@dataclass(frozen=True)
class Hop:
    """All edges that a hop followed, m of them, in the order in which their source handed them over.

    passed: float64 [m], the activation that was there for each edge to carry; boosts: float64 [m], the type boost of
    each target. The nodes that edges point to are numbered: `targets`, int64 [n] ascending, are the distinct ones, and
    `target_rows`, int64 [m], is the row of each edge's target among them.
    """

    edges: OutEdges
    targets: Ids
    target_rows: Rows
    boosts: Values
    decay: float
    passed: Values

    @cached_property
    def carried(self) -> Values:
        """The activation that each edge brought to its target, float64 [m]; 0 over edges of weight 0."""
        return self.carry(self.passed)

    def carry(self, passed: Values) -> Values:
        """What the edges bring when so much is passed to each, [m]; always in this order, so that equals stay equal."""
        return passed * self.edges.weights * self.boosts * self.decay

    def arrived(self) -> Frame:
        """What came to each node over all edges; nodes to which nothing came are left out."""
        values = sums(self.target_rows, self.carried, n=len(self.targets))
        active = np.flatnonzero(values > 0)
        return Frame(self.targets[active], values[active])

    def total_passed(self, onward: OutEdges) -> Values:
        """What there is for each edge of the next hop [k] to carry: all that came to its source.

        But for what came from its own target, for no path goes straight back.
        """
        rows = np.searchsorted(self.targets, onward.sources)
        total = sums(self.target_rows, self.carried, n=len(self.targets))
        origin, others = self._strongest_origin(self.carried)
        rest = sums(self.target_rows[others], self.carried[others], n=len(self.targets))
        # To subtract the better part of a sum would leave rounding errors, so that what remains without the strongest
        # origin is summed for itself. All other origins bring less than what remains, but for parallel edges.
        passed = total[rows] - self._came_over(onward.targets, rows)
        return np.where(onward.targets == origin[rows], rest[rows], passed)

    def greatest_passed(self, onward: OutEdges, values: Values) -> Values:
        """As `total_passed`, but the greatest of `values` [m] >= 0 instead of the sum of what was carried."""
        rows = np.searchsorted(self.targets, onward.sources)
        origin, others = self._strongest_origin(values)
        greatest = maxima(self.target_rows, values, n=len(self.targets))
        rest = maxima(self.target_rows[others], values[others], n=len(self.targets))
        return np.where(onward.targets == origin[rows], rest[rows], greatest[rows])

    def edges_into(self, target_rows: Rows) -> tuple[Rows, Rows]:
        """All edges of this hop into each of these targets [k]: two columns, the row among the k, and the edge."""
        order, offsets = self._by_target
        starts = offsets[target_rows]
        counts = offsets[target_rows + 1] - starts
        return np.repeat(np.arange(len(target_rows)), counts), order[runs(starts, counts)]

    @cached_property
    def _by_target(self) -> tuple[Rows, Rows]:
        """The edges grouped by target, in their own order within a group, and where each group begins and ends."""
        n = len(self.target_rows)
        # No two of these numbers are equal, so that the fastest way of sorting is a stable one as well.
        order = np.argsort(self.target_rows * n + np.arange(n))
        return order, offsets_of(np.bincount(self.target_rows, minlength=len(self.targets)))

    def _strongest_origin(self, values: Values) -> tuple[Ids, NDArray[np.bool_]]:
        """For each target [n] the source of an edge with the greatest of `values` [m]; the edges [m] from others."""
        greatest = maxima(self.target_rows, values, n=len(self.targets))
        edges = np.flatnonzero(values == greatest[self.target_rows])
        origin = np.zeros(len(self.targets), dtype=np.int64)
        origin[self.target_rows[edges]] = self.edges.sources[edges]
        return origin, self.edges.sources != origin[self.target_rows]

    def _came_over(self, origins: Ids, target_rows: Rows) -> Values:
        """What came to each of these targets [k] from each of these origins [k]; 0 where there is no edge."""
        sources, source_rows = distinct(self.edges.sources)
        pairs, pair_rows = np.unique(self.target_rows * len(sources) + source_rows, return_inverse=True)
        came = np.zeros(len(origins))
        known = np.flatnonzero(np.isin(origins, sources))  # few; only for them pairs are compared
        wanted = target_rows[known] * len(sources) + np.searchsorted(sources, origins[known])
        found = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        carried = sums(pair_rows, self.carried, n=len(pairs))
        came[known] = np.where(pairs[found] == wanted, carried[found], 0.0)
        return came


def maxima(rows: Rows, values: Values, *, n: int) -> Values:
    """The greatest of the values [m] >= 0 at each of n rows, float64 [n]; 0 where there is none."""
    greatest = np.zeros(n)
    np.maximum.at(greatest, rows, values)
    return greatest


def highest(values: Values, n: int) -> Rows:
    """The rows of the `n` highest values, highest first; of equal ones the smaller rows."""
    rows = np.arange(len(values))
    if 0 < n < len(values):
        # A full sort of tens of thousands would take longer than the spreading itself.
        rows = np.flatnonzero(values >= np.partition(values, len(values) - n)[len(values) - n])
    return rows[np.argsort(-values[rows], kind="stable")[:n]]
