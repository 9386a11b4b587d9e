"""Spreading activation over the edges of a store: inside it where it can, else hop by hop from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from aspen.memory_graph.hops import Frame, highest
from aspen.memory_graph.numbering import Ids, Rows, Values
from aspen.memory_graph.paths import Path
from aspen.memory_graph.spreading_activation import check_seeds, spread_activation
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.memory_graph.stored_edges import StoredEdges
from aspen.repository import EdgeStore, PathRow, SpreadingStore, SpreadRows

_HOPS_INSIDE = 2
"""With more, a query in a store takes longer than asking it hop by hop."""


class Activated(Protocol):
    """Where activation went, wherever it was computed: the parts of `Activation` that do not tell how."""

    @property
    def nodes(self) -> Ids:
        """Every node with activation > 0, int64 [n] ascending."""

    @property
    def values(self) -> Values:
        """Its activation, float64 [n]."""

    @property
    def seeds(self) -> Values:
        """The part of it that it started with, float64 [n]."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What arrived in each hop; frame 0 holds the seeds."""

    @property
    def truncated(self) -> bool:
        """Whether a bound left out an edge or a node."""

    def top(self, k: int) -> Rows:
        """The rows of the `k` most active nodes."""

    def paths_to(self, node: int, *, limit: int = 3) -> list[Path]:
        """The strongest paths to a node, strongest first."""


@dataclass(frozen=True)
class StoredActivation:
    """`Activated` as a store handed it over; of the paths to a node only those are known that it told."""

    nodes: Ids
    values: Values
    seeds: Values
    frames: tuple[Frame, ...]
    truncated: bool
    paths: Mapping[int, Sequence[PathRow]]

    @classmethod
    def of(cls, rows: SpreadRows) -> Self:
        """The same in the words of this package."""
        frames = tuple(Frame(nodes, values) for nodes, values in rows.frames)
        return cls(rows.nodes, rows.values, rows.seeds, frames, rows.truncated, rows.paths)

    def top(self, k: int) -> Rows:
        """As in `Activated`."""
        return highest(self.values, max(k, 0))

    def paths_to(self, node: int, *, limit: int = 3) -> list[Path]:
        """As in `Activated`."""
        told = self.paths.get(node, ())
        return [Path(path.nodes, path.types, path.contribution) for path in told[:limit]]


def spread_in(
    store: EdgeStore, initial: Mapping[int, float], *, settings: SpreadingSettings, inside: bool = True
) -> Activated:
    """Let activation spread over the edges of `store`; `inside` it, where it can do that. Raises as `spread_activation`
    does.
    """
    bounded = len(initial) * settings.fan <= settings.node_budget  # then the budget leaves nothing out
    if inside and isinstance(store, SpreadingStore) and settings.max_hops <= _HOPS_INSIDE and bounded:
        check_seeds(initial)
        return StoredActivation.of(
            store.spread(
                initial,
                max_hops=settings.max_hops,
                decay=settings.decay,
                type_boost=settings.type_boost,
                min_weight=settings.min_weight,
                types=settings.relation_types,
                fan=settings.fan,
            )
        )
    return spread_activation(StoredEdges(store), initial, settings=settings)
