"""Typed edges as columns, in the order in which activation spreads over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.memory_graph.numbering import Ids, Rows, Values, distinct
from aspen.repository import EdgeRows

Codes = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class EdgeColumns:
    """Edges as columns of m rows.

    sources, targets: int64; weights: float64, each in [0, 1]; types: int16, rows of `type_names`, which ascend.
    """

    sources: Ids
    targets: Ids
    weights: Values
    types: Codes
    type_names: tuple[str, ...]

    @classmethod
    def of(cls, edges: EdgeRows) -> EdgeColumns:
        """Edges as a store hands them over. InvalidInput for a weight outside [0, 1] and for uneven columns."""
        lengths = {len(edges.sources), len(edges.targets), len(edges.types), len(edges.weights)}
        if len(lengths) > 1:
            raise InvalidInput(f"The columns of edges must have one length, got {sorted(lengths)}.")
        outside = np.flatnonzero(~((edges.weights >= 0) & (edges.weights <= 1)))
        if len(outside):
            row = outside[0]
            raise InvalidInput(
                f"Edge weights must lie in [0, 1], got {edges.weights[row]} for the edge of type"
                f" {edges.types[row]!r} from {edges.sources[row]} to {edges.targets[row]}.",
                hint="Scale the weights of all edges down together.",
                weight=float(edges.weights[row]),
            )
        types, names = coded(edges.types)
        return cls(edges.sources, edges.targets, edges.weights.astype(np.float64), types, names)

    def take(self, rows: Rows) -> EdgeColumns:
        """These rows, in this order."""
        return replace(
            self,
            sources=self.sources[rows],
            targets=self.targets[rows],
            weights=self.weights[rows],
            types=self.types[rows],
        )

    def followed_by(self, others: EdgeColumns) -> EdgeColumns:
        """These edges, then the others."""
        names = tuple(sorted({*self.type_names, *others.type_names}))
        return EdgeColumns(
            np.concatenate([self.sources, others.sources]),
            np.concatenate([self.targets, others.targets]),
            np.concatenate([self.weights, others.weights]),
            np.concatenate([self._types_in(names), others._types_in(names)]),
            names,
        )

    def ordered(self) -> EdgeColumns:
        """By source, then weight descending, target and type; of edges with the same ends and type the last one."""
        rows = self._without_repeats()
        return self.take(rows[np.lexsort((-self.weights[rows], self.sources[rows]))])

    def _without_repeats(self) -> Rows:
        """The last row of each source, target and type, in this order."""
        _, sources = distinct(self.sources)
        targets, target_rows = distinct(self.targets)
        triples = (sources * len(targets) + target_rows) * len(self.type_names) + self.types
        if (np.diff(triples) > 0).all():  # as a store hands over all its edges
            return np.arange(len(triples))
        rows = np.argsort(triples)
        begins = np.flatnonzero(np.diff(triples[rows], prepend=-1))
        return np.maximum.reduceat(rows, begins)

    def _types_in(self, names: tuple[str, ...]) -> Codes:
        """The types as rows of `names`, which has all of them."""
        if names == self.type_names:
            return self.types
        return np.array([names.index(name) for name in self.type_names], dtype=np.int16)[self.types]


def coded(names: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """A number for each name, int16 [n], and the names by number, ascending."""
    known = tuple(sorted(set(names)))
    numbers = {name: number for number, name in enumerate(known)}
    return np.fromiter(map(numbers.__getitem__, names), dtype=np.int16, count=len(names)), known
