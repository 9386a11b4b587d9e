"""Typed edges between memories, in memory, so that spreading activation finds them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.memory_graph.edge_columns import Codes, EdgeColumns, coded
from aspen.memory_graph.edge_source import OutEdges
from aspen.memory_graph.numbering import Ids, NodeIndex, Rows, Values, distinct, offsets_of, runs
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.repository import EdgeRows

_NO_TYPE = -1
_VIEWS_KEPT = 8  # sets of relation types whose edges are kept apart


class TypedGraph:
    """Memories by seq with their types, and typed weighted edges between them: an `EdgeSource` that never changes.

    Edges are kept as compressed sparse rows: those of one source stand together, heaviest first, so that its fan is a
    slice. An edge may name a node that is no memory here; it has no type then, and nothing starts from it.
    """

    def __init__(
        self,
        index: NodeIndex,
        node_types: Codes,
        node_type_names: tuple[str, ...],
        offsets: Rows,
        edges: EdgeColumns,
    ) -> None:
        """Take columns as they are; `TypedGraph.of` orders and checks them.

        index: the n memories and sources of edges; node_types: int16 [n + 1], rows of `node_type_names` or -1 for no
        type, and -1 at the end; offsets: int64 [n + 1], where the edges of each node begin and end.
        """
        self._index = index
        self._node_types = node_types
        self._node_type_names = node_type_names
        self._offsets = offsets
        self._edges = edges
        self._views: dict[frozenset[str], TypedGraph] = {}

    @classmethod
    def of(cls, nodes: Ids, *, types: Sequence[str], edges: EdgeRows) -> TypedGraph:
        """A graph of memories, `nodes` [n] with their `types`, and of edges. Raises as `changed` does."""
        return _EMPTY.changed(nodes=nodes, types=types, edges=edges, forgotten=_NONE)

    @classmethod
    def empty(cls) -> TypedGraph:
        """A graph of nothing."""
        return _EMPTY

    def changed(self, *, nodes: Ids, types: Sequence[str], edges: EdgeRows, forgotten: Ids) -> TypedGraph:
        """This graph without the `forgotten` memories and their edges, and then with new or changed rows.

        A memory takes the new type, an edge with the same ends and type the new weight; of rows that repeat the last
        one counts. A few edges are added in a fraction of the time that it takes to order all. InvalidInput for a
        weight outside [0, 1], and for columns of different lengths.
        """
        if len(nodes) != len(types):
            raise InvalidInput(
                f"Each memory needs one type, got {len(nodes)} memories and {len(types)} types."
            )
        before = self._without(forgotten) if len(forgotten) else self
        return before._with(nodes, types, EdgeColumns.of(edges))

    def __len__(self) -> int:
        return len(self._edges.targets)

    def missing(self, nodes: Ids) -> Ids:
        """As in `EdgeSource`."""
        no_type: NDArray[np.bool_] = self._node_types[self._index.rows(nodes)] == _NO_TYPE
        return nodes[no_type]

    def boosts_of(self, nodes: Ids, type_boost: Mapping[str, float]) -> Values:
        """As in `EdgeSource`."""
        by_type = np.array([type_boost.get(name, 1.0) for name in self._node_type_names] + [1.0])
        # Row -1, of a node that is not here, is the -1 at the end of the types; type -1 is the 1 at the end of these.
        return by_type[self._node_types[self._index.rows(nodes)]]

    def edges_out_of(self, nodes: Ids, *, settings: SpreadingSettings) -> OutEdges:
        """As in `EdgeSource`. The first call with a set of relation types sets their edges apart, O(edges)."""
        if settings.relation_types is None:
            return self._heaviest(nodes, settings)
        return self._of_types(settings.relation_types)._heaviest(nodes, settings)

    def _heaviest(self, nodes: Ids, settings: SpreadingSettings) -> OutEdges:
        rows = self._index.rows(nodes)
        nodes, rows = nodes[rows >= 0], rows[rows >= 0]
        edges, starts = self._edges, self._offsets[rows]
        degrees = self._offsets[rows + 1] - starts
        first_left_out = starts[degrees > settings.fan] + settings.fan
        cut = bool((edges.weights[first_left_out] >= settings.min_weight).any())
        counts = np.minimum(degrees, settings.fan)
        sources, picked = np.repeat(nodes, counts), runs(starts, counts)
        weights = edges.weights[picked]
        if settings.min_weight > 0:  # the heaviest come first, so that these could not make place for others
            heavy = weights >= settings.min_weight
            sources, picked, weights = sources[heavy], picked[heavy], weights[heavy]
        return OutEdges(sources, edges.targets[picked], weights, edges.types[picked], edges.type_names, cut)

    def _of_types(self, wanted: frozenset[str]) -> TypedGraph:
        """The same graph with only the edges of these types."""
        if wanted.issuperset(self._edges.type_names):
            return self
        view = self._views.get(wanted)
        if view is None:
            carries = np.array([name in wanted for name in self._edges.type_names])
            view = self._keeping(carries[self._edges.types])
            while len(self._views) >= _VIEWS_KEPT:
                self._views.pop(next(iter(self._views)), None)
            self._views[wanted] = view
        return view

    def _keeping(self, kept: NDArray[np.bool_]) -> TypedGraph:
        """With only these edges, bool [m]; all nodes stay."""
        offsets = offsets_of(kept.astype(np.int64))[self._offsets]
        edges = self._edges.take(np.flatnonzero(kept))
        return TypedGraph(self._index, self._node_types, self._node_type_names, offsets, edges)

    def _without(self, forgotten: Ids) -> TypedGraph:
        edges = self._edges
        graph = self._keeping(~(np.isin(edges.sources, forgotten) | np.isin(edges.targets, forgotten)))
        # A forgotten node has no edges left, so that the offsets of the others hold without its own.
        stays = ~np.isin(self._index.ids, forgotten)
        and_end = np.append(stays, True)
        return TypedGraph(
            NodeIndex(self._index.ids[stays]),
            self._node_types[and_end],
            self._node_type_names,
            graph._offsets[and_end],
            graph._edges,
        )

    def _with(self, nodes: Ids, types: Sequence[str], added: EdgeColumns) -> TypedGraph:
        sources, _ = distinct(added.sources)
        ids, rows = distinct(np.concatenate([self._index.ids, sources, nodes]))
        of_mine, of_sources, of_nodes = np.split(rows, np.cumsum([len(self._index.ids), len(sources)]))

        codes, names = coded([*self._node_type_names, *types])
        mine, new = np.split(codes, [len(self._node_type_names)])
        node_types = np.full(len(ids) + 1, _NO_TYPE, dtype=np.int16)
        node_types[of_mine] = np.append(mine, np.int16(_NO_TYPE))[self._node_types[:-1]]
        node_types[of_nodes] = new

        # Edges out of a node that gets new ones are ordered anew with them; all others stay in their order.
        mine_again = self._index.rows(sources)
        mine_again = mine_again[mine_again >= 0]
        degrees = np.diff(self._offsets)
        again = self._edges.take(runs(self._offsets[mine_again], degrees[mine_again]))
        fresh = again.followed_by(added).ordered()
        starts_of, degrees_of = np.zeros((2, len(ids)), dtype=np.int64)
        starts_of[of_mine], degrees_of[of_mine] = self._offsets[:-1], degrees
        begin, end = (np.searchsorted(fresh.sources, sources, side) for side in ("left", "right"))
        starts_of[of_sources], degrees_of[of_sources] = len(self) + begin, end - begin
        edges = self._edges.followed_by(fresh).take(runs(starts_of, degrees_of))
        return TypedGraph(NodeIndex(ids), node_types, names, offsets_of(degrees_of), edges)


_NONE = np.zeros(0, dtype=np.int64)
_EMPTY = TypedGraph(
    NodeIndex(_NONE),
    np.array([_NO_TYPE], dtype=np.int16),
    (),
    np.zeros(1, dtype=np.int64),
    EdgeColumns.of(EdgeRows(_NONE, _NONE, [], np.zeros(0), [])),
)
