"""Graphs of any size: few memories have very many relations, most have a few."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from aspen.repository import EdgeRows, KeyStamp, NewMemory, Repository
from aspen.types import Edge, MemoryItem, MemoryType, RelationType

_TYPES = tuple(MemoryType)
_SHARES = (0.02, 0.05, 0.08, 0.6, 0.25)  # of _TYPES, in their order
_RELATIONS = tuple(sorted(set(RelationType) - {RelationType.NEXT, RelationType.HISTORICAL_VERSION_OF}))
_STEEPNESS = 0.8  # of the power law
_AT_ONCE = 50_000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def power_law(n_nodes: int, n_edges: int, *, seed: int = 7) -> tuple[list[str], EdgeRows]:
    """Types of the memories 1..n, and about `n_edges` distinct edges between them.

    Both ends of an edge are memory k with a probability in proportion to 1 / k^0.8, k counted in a random order.
    """
    random = np.random.default_rng(seed)
    chance = np.arange(1, n_nodes + 1) ** -_STEEPNESS
    order = random.permutation(n_nodes) + 1
    ends = order[random.choice(n_nodes, size=(n_edges, 2), p=chance / chance.sum())]
    kinds = random.integers(len(_RELATIONS), size=n_edges)
    rows = np.unique(np.column_stack([ends, kinds])[ends[:, 0] != ends[:, 1]], axis=0)
    types = [_TYPES[k].value for k in random.choice(len(_TYPES), size=n_nodes, p=_SHARES)]
    edges = EdgeRows(
        sources=rows[:, 0],
        targets=rows[:, 1],
        types=[_RELATIONS[kind].value for kind in rows[:, 2]],
        weights=np.round(random.uniform(0.1, 1.0, size=len(rows)), 3),
        provenances=["inferred"] * len(rows),
    )
    return types, edges


def fill(repository: Repository, types: list[str], edges: EdgeRows) -> None:
    """Put them into an empty store, whose memories then have the seqs 1..n."""
    repository.set_stamp(KeyStamp("benchmark", "benchmark", "1"))
    for start in range(0, len(types), _AT_ONCE):
        repository.add(
            [
                NewMemory(
                    f"m{number}", MemoryItem(f"memory {number}", type=MemoryType(kind)), _NOW, 2, (), b"key"
                )
                for number, kind in enumerate(types[start : start + _AT_ONCE], start=start + 1)
            ]
        )
    relate(repository, edges)


def relate(repository: Repository, edges: EdgeRows) -> None:
    """Put the edges into a store that has the memories."""
    for part in _parts(edges):
        repository.relate(part)


def _parts(edges: EdgeRows) -> Iterator[list[Edge]]:
    for start in range(0, len(edges.sources), _AT_ONCE):
        stop = start + _AT_ONCE
        columns = (edges.sources, edges.targets, edges.weights)
        sources, targets, weights = (column[start:stop].tolist() for column in columns)
        yield [Edge(*row) for row in zip(sources, targets, edges.types[start:stop], weights, strict=True)]
