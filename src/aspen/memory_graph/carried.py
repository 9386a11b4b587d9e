"""The edges over which activation came in one hop, so that a person can see it travel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen.memory_graph.hops import Hop, highest
from aspen.memory_graph.numbering import Ids, Rows, Values


@dataclass(frozen=True, slots=True)
class CarriedEdges:
    """Edges of one hop as columns of m rows, those that carried most first.

    sources, targets: int64; relations: names of their types; weights: float64 in [0, 1]; carried: float64 > 0, what
    came over each. `left_out` is how many others carried something, too.
    """

    sources: Ids
    targets: Ids
    relations: tuple[str, ...]
    weights: Values
    carried: Values
    left_out: int = 0


def carried_edges(hop: Hop, *, into: Ids, most: int) -> CarriedEdges:
    """All edges that carried something into the nodes `into` [n], and the `most` strongest of the others."""
    carries = np.flatnonzero(hop.carried > 0)
    wanted = np.isin(hop.edges.targets[carries], into)
    others = carries[~wanted]
    kept = others[highest(hop.carried[others], most)] if most else others[:0]
    told = np.concatenate([carries[wanted], kept])
    return _told(hop, told[highest(hop.carried[told], len(told))], left_out=len(others) - len(kept))


def _told(hop: Hop, rows: Rows, *, left_out: int) -> CarriedEdges:
    edges = hop.edges
    return CarriedEdges(
        edges.sources[rows],
        edges.targets[rows],
        tuple(edges.type_names[code] for code in edges.types[rows].tolist()),
        edges.weights[rows],
        hop.carried[rows],
        left_out,
    )
