"""Spreading activation as one recursive SQLite query, written for the tests alone. It knows no node budget."""

from __future__ import annotations

import json

import apsw
from tests.unit.memory_graph.graph_worlds import World

from aspen.memory_graph import SpreadingSettings

SCHEMA = """
CREATE TABLE memory (seq INTEGER PRIMARY KEY, type TEXT NOT NULL);
CREATE TABLE edge (source INTEGER, target INTEGER, type TEXT, weight REAL, PRIMARY KEY (source, target, type));
CREATE TABLE seed (seq INTEGER PRIMARY KEY, activation REAL NOT NULL);
CREATE TABLE boost (type TEXT PRIMARY KEY, factor REAL NOT NULL);
"""

SPREAD = """
WITH RECURSIVE state (hop, previous, node, activation) AS (
    SELECT 0, NULL, seq, activation FROM seed WHERE activation > 0
    UNION ALL
    SELECT
        state.hop + 1,
        state.node,
        edge.target,
        state.activation * edge.weight * coalesce(boost.factor, 1.0) * :decay
    FROM state
    JOIN edge ON edge.source = state.node
    LEFT JOIN memory ON memory.seq = edge.target
    LEFT JOIN boost ON boost.type = memory.type
    WHERE state.hop < :max_hops
    AND edge.target IS NOT state.previous
    AND edge.weight > 0
    AND edge.rowid IN (
        SELECT heaviest.rowid FROM edge AS heaviest
        WHERE heaviest.source = state.node
        AND heaviest.weight >= :min_weight
        AND (:relation_types IS NULL OR heaviest.type IN (SELECT value FROM json_each(:relation_types)))
        ORDER BY heaviest.weight DESC, heaviest.target, heaviest.type
        LIMIT :fan
    )
)
SELECT hop, node, sum(activation) FROM state GROUP BY hop, node
"""


def frames_by_sql(world: World, settings: SpreadingSettings) -> list[dict[int, float]]:
    """What arrived at each node, for each hop from 0 to max_hops."""
    database = apsw.Connection(":memory:")
    database.execute(SCHEMA)
    database.executemany("INSERT INTO memory VALUES (?, ?)", world.types.items())
    database.executemany(
        "INSERT INTO edge VALUES (?, ?, ?, ?)", [(*key, w) for key, w in world.edges.items()]
    )
    database.executemany("INSERT INTO seed VALUES (?, ?)", world.seeds.items())
    database.executemany("INSERT INTO boost VALUES (?, ?)", settings.type_boost.items())
    wanted = settings.relation_types
    parameters = {
        "decay": settings.decay,
        "max_hops": settings.max_hops,
        "min_weight": settings.min_weight,
        "relation_types": None if wanted is None else json.dumps(sorted(wanted)),
        "fan": settings.fan,
    }
    frames: list[dict[int, float]] = [{} for _ in range(settings.max_hops + 1)]
    for hop, node, activation in database.execute(SPREAD, parameters):
        frames[hop][node] = activation
    database.close()
    return frames
