"""The edges of an in-memory store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from aspen.types import Edge

_Name = tuple[int, int, str]
"""Source, target and type."""


class Edges:
    """Edges, and the revision at which each was written last."""

    def __init__(self) -> None:
        self._edges: dict[_Name, Edge] = {}
        self._revisions: dict[_Name, int] = {}
        self._from: defaultdict[int, dict[_Name, Edge]] = defaultdict(dict)
        self._to: defaultdict[int, dict[_Name, Edge]] = defaultdict(dict)
        self._removed = 0
        """The revision at which edges were last removed otherwise than with a memory."""

    def __len__(self) -> int:
        return len(self._edges)

    def put(self, edge: Edge, revision: int) -> None:
        """Add an edge, or give it a new weight and provenance."""
        name = (edge.source, edge.target, edge.type)
        self._edges[name] = edge
        self._revisions[name] = revision
        self._from[edge.source][name] = self._to[edge.target][name] = edge

    def remove(self, names: Iterable[_Name], revision: int) -> None:
        """Drop edges that are there."""
        there = self.there(names)
        self._drop(there)
        if there:
            self._removed = revision

    def forget(self, seqs: Iterable[int]) -> None:
        """Drop the edges from and to these memories."""
        for seq in seqs:
            self._drop([*self._from[seq], *self._to[seq]])
            del self._from[seq], self._to[seq]

    def _drop(self, names: Iterable[_Name]) -> None:
        for name in names:
            del self._edges[name], self._revisions[name]
            del self._from[name[0]][name], self._to[name[1]][name]

    def there(self, names: Iterable[_Name]) -> set[_Name]:
        """Those that are stored."""
        return {name for name in names if name in self._edges}

    def names_into(self, seqs: Iterable[int]) -> set[_Name]:
        """The edges that lead to these memories."""
        return {name for seq in seqs for name in self._to.get(seq, {})}

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
        own = self._from.get(source, {}).values()
        return _heaviest(
            (edge for edge in own if edge.weight >= min_weight and (types is None or edge.type in types)), fan
        )

    def into(self, target: int, *, fan: int) -> list[Edge]:
        """The `fan` heaviest edges into a memory, then by source and type."""
        return _heaviest(self._to.get(target, {}).values(), fan)

    def count(self, seqs: Iterable[int]) -> int:
        """How many edges lead from or to these memories."""
        return len({name for seq in seqs for name in (*self._from.get(seq, {}), *self._to.get(seq, {}))})

    def size(self) -> int:
        """Bytes of all edges."""
        return sum(24 + len(name[2].encode()) for name in self._edges)


def _heaviest(edges: Iterable[Edge], fan: int) -> list[Edge]:
    return sorted(edges, key=lambda edge: (-edge.weight, edge.source, edge.target, edge.type))[:fan]
