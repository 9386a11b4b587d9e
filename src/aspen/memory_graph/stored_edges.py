"""Edges straight from a store: for one spreading of activation, where no graph is held in memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen.memory_graph.edge_columns import coded
from aspen.memory_graph.edge_source import OutEdges
from aspen.memory_graph.numbering import Ids, Values
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.repository import EdgeStore


class StoredEdges:
    """An `EdgeSource` that asks a store at each hop: one short look-up for each memory that activation leaves."""

    def __init__(self, store: EdgeStore) -> None:
        self._store = store

    def missing(self, nodes: Ids) -> Ids:
        """As in `EdgeSource`."""
        known = self._store.memory_types(nodes.tolist())
        return np.array([node for node in nodes.tolist() if node not in known], dtype=np.int64)

    def edges_out_of(self, nodes: Ids, *, settings: SpreadingSettings) -> OutEdges:
        """As in `EdgeSource`. One edge more than the fan is asked for, to know whether it left any out."""
        rows = self._store.out_edges(
            nodes.tolist(),
            fan=settings.fan + 1,
            min_weight=settings.min_weight,
            types=settings.relation_types,
        )
        begins = np.searchsorted(rows.sources, nodes)  # sources come in the order asked, which ascends
        places = np.arange(len(rows.sources)) - begins[np.searchsorted(nodes, rows.sources)]
        kept = places < settings.fan
        types, names = coded(rows.types)
        return OutEdges(
            rows.sources[kept],
            rows.targets[kept],
            rows.weights[kept],
            types[kept],
            names,
            cut=not bool(kept.all()),
        )

    def boosts_of(self, nodes: Ids, type_boost: Mapping[str, float]) -> Values:
        """As in `EdgeSource`."""
        types = self._store.memory_types(nodes.tolist())
        return np.array(
            [type_boost.get(types.get(node, ""), 1.0) for node in nodes.tolist()], dtype=np.float64
        )
