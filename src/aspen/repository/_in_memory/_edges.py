"""The edges of an in-memory store."""

from __future__ import annotations

from collections.abc import Container

from aspen.types import Edge

_Name = tuple[int, int, str]
"""Source, target and type."""


class Edges:
    """Edges, and the revision at which each was written last."""

    def __init__(self) -> None:
        self._weights: dict[_Name, float] = {}
        self._revisions: dict[_Name, int] = {}

    def __len__(self) -> int:
        return len(self._weights)

    def put(self, edge: Edge, revision: int) -> None:
        """Add an edge, or give it a new weight."""
        name = (edge.source, edge.target, edge.type)
        self._weights[name] = edge.weight
        self._revisions[name] = revision

    def forget(self, seqs: Container[int]) -> None:
        """Drop the edges from and to these memories."""
        for name in [name for name in self._weights if name[0] in seqs or name[1] in seqs]:
            del self._weights[name], self._revisions[name]

    def since(self, revision: int) -> list[Edge]:
        """Those written after a revision, ascending by source, target and type."""
        return [
            Edge(*name, self._weights[name])
            for name, written in sorted(self._revisions.items())
            if written > revision
        ]

    def heaviest(self, source: int, fan: int) -> list[Edge]:
        """The `fan` heaviest edges out of a memory, then by target and type."""
        own = [Edge(*name, weight) for name, weight in self._weights.items() if name[0] == source]
        return sorted(own, key=lambda edge: (-edge.weight, edge.target, edge.type))[:fan]

    def size(self) -> int:
        """Bytes of all edges."""
        return sum(24 + len(name[2].encode()) for name in self._weights)
