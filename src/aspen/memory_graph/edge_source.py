"""What spreading activation asks of whatever holds the edges: a graph in memory, or a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph.numbering import Ids, Values
from aspen.memory_graph.spreading_settings import SpreadingSettings


@dataclass(frozen=True, slots=True)
class OutEdges:
    """Edges out of some nodes, as columns of m rows.

    sources, targets: int64; weights: float64, each in [0, 1]; types: rows of `type_names`, integers.
    The edges of one source stand together, the sources in ascending order; within a source by weight descending, then
    target, then name of the type. `cut` is True where the fan limit left an edge out.
    """

    sources: Ids
    targets: Ids
    weights: Values
    types: NDArray[np.int16]
    type_names: tuple[str, ...]
    cut: bool


class EdgeSource(Protocol):
    """Holds typed edges between nodes, which are memories by their seq."""

    def missing(self, nodes: Ids) -> Ids:
        """Which of `nodes`, int64 [n] ascending without repeats, are no memories here."""

    def edges_out_of(self, nodes: Ids, *, settings: SpreadingSettings) -> OutEdges:
        """The edges that carry activation out of `nodes`, int64 [n] ascending without repeats.

        Of the edges whose type is in `settings.relation_types` and whose weight is at least `settings.min_weight`, the
        `settings.fan` heaviest of each node; of equally heavy ones those with smaller targets, then smaller type names.
        """

    def boosts_of(self, nodes: Ids, type_boost: Mapping[str, float]) -> Values:
        """The factor for the type of each of `nodes`, int64 [n] ascending without repeats.

        1 where `type_boost` does not name the type, and where the node has none.
        """
