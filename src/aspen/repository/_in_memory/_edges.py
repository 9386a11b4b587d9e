"""The edges of an in-memory store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable

from aspen.types import Edge

_Name = tuple[int, int, str]
"""Source, target and type."""


class Edges:
    """Edges, and the revision at which each was written last."""

    def __init__(self) -> None:
        self._edges: dict[_Name, Edge] = {}
        self._revisions: dict[_Name, int] = {}
        self._removed = 0
        """The revision at which edges were last removed otherwise than with a memory."""

    def __len__(self) -> int:
        return len(self._edges)

    def put(self, edge: Edge, revision: int) -> None:
        """Add an edge, or give it a new weight and provenance."""
        name = (edge.source, edge.target, edge.type)
        self._edges[name] = edge
        self._revisions[name] = revision

    def remove(self, names: Iterable[_Name], revision: int) -> int:
        """Drop edges that are there; returns how many."""
        there = [name for name in names if name in self._edges]
        self._drop(there)
        if there:
            self._removed = revision
        return len(there)

    def forget(self, seqs: Container[int]) -> None:
        """Drop the edges from and to these memories."""
        self._drop([name for name in self._edges if name[0] in seqs or name[1] in seqs])

    def _drop(self, names: Iterable[_Name]) -> None:
        for name in names:
            del self._edges[name], self._revisions[name]

    def there(self, names: Iterable[_Name]) -> bool:
        """Whether one of them is stored."""
        return any(name in self._edges for name in names)

    def removed_since(self, revision: int) -> bool:
        """Whether `remove` dropped one after a revision."""
        return 0 < revision < self._removed

    def since(self, revision: int) -> list[Edge]:
        """Those written after a revision, ascending by source, target and type."""
        return [self._edges[name] for name, written in sorted(self._revisions.items()) if written > revision]

    def out_of(
        self, source: int, *, fan: int, min_weight: float, types: Collection[str] | None
    ) -> list[Edge]:
        """The `fan` heaviest edges out of a memory that pass the filters, then by target and type."""
        return self._heaviest(
            lambda edge: (
                edge.source == source and edge.weight >= min_weight and (types is None or edge.type in types)
            ),
            fan,
        )

    def into(self, target: int, *, fan: int) -> list[Edge]:
        """The `fan` heaviest edges into a memory, then by source and type."""
        return self._heaviest(lambda edge: edge.target == target, fan)

    def _heaviest(self, fits: Callable[[Edge], bool], fan: int) -> list[Edge]:
        own = filter(fits, self._edges.values())
        return sorted(own, key=lambda edge: (-edge.weight, edge.source, edge.target, edge.type))[:fan]

    def size(self) -> int:
        """Bytes of all edges."""
        return sum(24 + len(name[2].encode()) for name in self._edges)
