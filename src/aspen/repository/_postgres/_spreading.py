"""Spreading activation inside the database: one query, and its packed answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository._postgres import _columns as columns
from aspen.repository._postgres import _steps as steps
from aspen.repository._postgres._pool import Session
from aspen.repository.values import PathRow, SpreadRows
from aspen.types import Seqs

MAX_HOPS = 2
"""With three, any query takes longer than asking for edges hop by hop."""


def spread(
    session: Session,
    seeds: Mapping[int, float],
    *,
    max_hops: int,
    decay: float,
    type_boost: Mapping[str, float],
    min_weight: float,
    types: Collection[str] | None,
    fan: int,
    paths: int,
) -> SpreadRows:
    """Where activation goes from `seeds`, which ascend. NotFound for the first that is not there."""
    known = steps.existing(session, seeds)
    for seq in seeds:
        if seq not in known:
            raise incoming.unknown("memory", seq)
    active = {seq: value for seq, value in seeds.items() if value > 0}
    ((truncated, *packed),) = session.rows(
        "spread",
        seqs=list(active),
        activations=list(active.values()),
        boosted=[kind for kind in type_boost if incoming.findable(kind)],
        factors=[float(factor) for kind, factor in type_boost.items() if incoming.findable(kind)],
        decay=float(decay),
        max_hops=max_hops,
        min_weight=float(min_weight),
        types=None if types is None else [kind for kind in types if incoming.findable(kind)],
        fan=fan,
        paths=paths,
    )
    hops, arrived_at, arrived = packed[:3]
    hop = columns.int32_of(hops)
    every, values = columns.int64_of(arrived_at), columns.float64_of(arrived)
    nodes, rows = np.unique(every, return_inverse=True)
    return SpreadRows(
        nodes=nodes,
        values=np.bincount(rows, values, minlength=len(nodes)).astype(np.float64, copy=False),
        seeds=np.array([active.get(node, 0.0) for node in nodes.tolist()], dtype=np.float64),
        frames=tuple((every[hop == number], values[hop == number]) for number in range(max_hops + 1)),
        paths=_Ways.of(packed[3:]),
        truncated=truncated,
    )


@dataclass(frozen=True)
class _Ways(Mapping[int, tuple[PathRow, ...]]):
    """The strongest ways to each memory, as columns of one length; made into values when they are asked for.

    nodes: int64 [m], where each way leads, ascending, and strongest first where they lead to the same memory; starts
    and middles: int64 [m], where it comes from, and over what (0: straight); then the types of its edges.
    """

    nodes: Seqs
    starts: Seqs
    middles: Seqs
    first_types: list[str]
    last_types: list[str]
    contributions: NDArray[np.float64]

    @classmethod
    def of(cls, packed: Sequence[Any]) -> _Ways:
        nodes, starts, middles, first_types, last_types, contributions = packed
        return cls(
            columns.int64_of(nodes),
            columns.int64_of(starts),
            columns.int64_of(middles),
            first_types or [],
            last_types or [],
            columns.float64_of(contributions),
        )

    def __getitem__(self, node: int) -> tuple[PathRow, ...]:
        first, last = np.searchsorted(self.nodes, [node, node + 1])
        if first == last:
            raise KeyError(node)
        return tuple(self._way(row) for row in range(first, last))

    def __iter__(self) -> Iterator[int]:
        return iter(np.unique(self.nodes).tolist())

    def __len__(self) -> int:
        return len(np.unique(self.nodes))

    def _way(self, row: int) -> PathRow:
        start, middle, node = int(self.starts[row]), int(self.middles[row]), int(self.nodes[row])
        contribution = float(self.contributions[row])
        if middle == 0:
            return PathRow((start, node), (self.first_types[row],), contribution)
        types = (self.first_types[row], self.last_types[row])
        return PathRow((start, middle, node), types, contribution)
