"""From activation by seq to activated memories with their texts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np

from aspen.hits.searched import paths_of
from aspen.hits.superseded import newest_versions
from aspen.memory_graph import (
    Activated,
    Activation,
    Frame,
    Hop,
    SpreadingSettings,
    carried_edges,
    priority_of,
)
from aspen.repository import Repository
from aspen.resonance_search import Way
from aspen.types import ActivatedMemory, CarriedEdge, Memory, Spread

_MOST_EDGES = 1000
"""Edges of a hop that are told."""


def spread_of(
    activation: Activated,
    *,
    repository: Repository,
    settings: SpreadingSettings,
    top_k: int,
    frames: bool,
    started: float,
) -> Spread:
    """The `top_k` most active memories, with all `frames` if asked. One that was forgotten meanwhile is left out.

    `started` is the `time.perf_counter` from which `seconds` counts.
    """
    rows = activation.top(top_k).tolist()
    seqs = activation.nodes[rows].tolist()
    ways = {
        seq: [
            Way(path.nodes, path.contribution, relations=path.relations) for path in activation.paths_to(seq)
        ]
        for seq in seqs
    }
    told = activation.frames if frames else ()
    hops = activation.hops if frames and isinstance(activation, Activation) else ()
    wanted = {seq for own in ways.values() for way in own for seq in way.nodes}
    wanted |= {*seqs, *(seq for frame in told for seq in frame.nodes.tolist())}
    memories = {memory.seq: memory for memory in repository.get_by_seq(sorted(wanted))}
    newest = newest_versions(repository, seqs)
    now = datetime.now(UTC)
    reached = [
        ActivatedMemory(
            memory=memories[seq],
            activation=float(activation.values[row]),
            seed=float(activation.seeds[row]),
            type_boost=settings.type_boost.get(memories[seq].type.value, 1.0),
            priority=priority_of(memories[seq], now=now),
            paths=paths_of(ways[seq], memories),
            corrected_by=newest[seq].id if seq in newest else None,
        )
        for row, seq in zip(rows, seqs, strict=True)
        if seq in memories
    ]
    return Spread(
        memories=tuple(reached),
        frames=tuple(_by_id(frame, memories) for frame in told),
        truncated=activation.truncated,
        seconds=time.perf_counter() - started,
        carried=((), *(_edges(hop, memories) for hop in hops)) if hops else (),
    )


def _by_id(frame: Frame, memories: dict[int, Memory]) -> dict[str, float]:
    """What arrived in one hop by memory id, the most first."""
    arrived = sorted(
        zip(frame.values.tolist(), frame.nodes.tolist(), strict=True), key=lambda item: (-item[0], item[1])
    )
    return {memories[seq].id: value for value, seq in arrived if seq in memories}


def _edges(hop: Hop, memories: dict[int, Memory]) -> tuple[CarriedEdge, ...]:
    """The strongest edges of one hop, the most first."""
    edges = carried_edges(hop, into=np.zeros(0, dtype=np.int64), most=_MOST_EDGES)
    columns = (edges.sources, edges.targets, edges.weights, edges.carried)
    rows = zip(*(column.tolist() for column in columns), edges.relations, strict=True)
    return tuple(
        CarriedEdge(memories[source].id, memories[target].id, relation, weight, carried)
        for source, target, weight, carried, relation in rows
        if source in memories and target in memories
    )
