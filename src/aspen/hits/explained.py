"""From a search's explanation, by row and seq, to one that names memories by id."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen.memory_graph import SpreadingSettings
from aspen.repository import Repository
from aspen.resonance_search import Explanation, SearchResult
from aspen.resonance_search.explaining import ToldArm
from aspen.resonance_search.frames import ToldEdge, ToldFrame
from aspen.resonance_search.ranking import Ranked, relations_part
from aspen.types import (
    ArmCandidate,
    CarriedEdge,
    FusedCandidate,
    Memory,
    RecallExplanation,
    RecallFrame,
)


def explanation_of(
    result: SearchResult, *, repository: Repository, spreading: SpreadingSettings
) -> RecallExplanation | None:
    """How the recall came about, where the search tells it. What was forgotten meanwhile is left out."""
    told = result.explanation
    if told is None:
        return None
    named = set(told.seqs.tolist())
    for frame in told.frames:
        named |= set(frame.arrived) | {end for edge in frame.edges for end in (edge.source, edge.target)}
    memories = {memory.seq: memory for memory in repository.get_by_seq(sorted(named))}
    return RecallExplanation(
        arms={name: _arm(arm, told, memories) for name, arm in told.arms.items()},
        units={name: arm.scores.unit for name, arm in told.arms.items()},
        weights={name: arm.scores.weight for name, arm in told.arms.items()},
        fused=_fused(told, result, memories, spreading=spreading),
        frames=tuple(_frame(frame, memories) for frame in told.frames),
        memories={memory.id: memory for memory in memories.values()},
    )


def carried_by_id(edges: tuple[ToldEdge, ...], memories: Mapping[int, Memory]) -> tuple[CarriedEdge, ...]:
    """Edges with the ids of their ends; those of a memory that is not there any more are left out."""
    return tuple(
        CarriedEdge(
            memories[edge.source].id,
            memories[edge.target].id,
            edge.relation,
            edge.weight,
            edge.carried,
            edge.via,
        )
        for edge in edges
        if edge.source in memories and edge.target in memories
    )


def _arm(arm: ToldArm, told: Explanation, memories: Mapping[int, Memory]) -> tuple[ArmCandidate, ...]:
    columns = zip(told.seqs.tolist(), arm.raw.tolist(), arm.z.tolist(), arm.ranks.tolist(), strict=True)
    found = [ArmCandidate(memories[seq].id, raw, z, rank) for seq, raw, z, rank in columns if seq in memories]
    return tuple(sorted(found, key=lambda one: one.rank))


def _fused(
    told: Explanation,
    result: SearchResult,
    memories: Mapping[int, Memory],
    *,
    spreading: SpreadingSettings,
) -> tuple[FusedCandidate, ...]:
    hits = {hit.row: (place, hit) for place, hit in enumerate(result.ranked, start=1)}
    return tuple(
        _fused_candidate(told, at, memories[seq], *hits.get(row, (None, None)), spreading=spreading)
        for at, (row, seq) in enumerate(zip(told.rows.tolist(), told.seqs.tolist(), strict=True))
        if seq in memories
    )


def _fused_candidate(
    told: Explanation,
    at: int,
    memory: Memory,
    place: int | None,
    hit: Ranked | None,
    *,
    spreading: SpreadingSettings,
) -> FusedCandidate:
    parts = {name: float(column[at]) for name, column in told.before.items()}
    added = {name: float(column[at]) for name, column in told.after.items()}
    if hit is not None:  # re-ranking came after the search
        added |= {name: value for name, value in hit.parts.items() if name not in parts}
    score = sum(parts.values())
    arrived = {name: float(column[at]) for name, column in told.arrived.items()}
    boost = spreading.type_boost.get(memory.type.value, 1.0)
    came = arrived["relations"]
    return FusedCandidate(
        memory_id=memory.id,
        score=score,
        parts=parts,
        added=added,
        final=score + sum(added.values()),
        place=place,
        arrived=arrived,
        takes_in=float(told.takes_in[at]),
        boosted=_boosted(came, boost=boost, direct=score),
    )


def _frame(frame: ToldFrame, memories: Mapping[int, Memory]) -> RecallFrame:
    arrived = sorted(frame.arrived.items(), key=lambda item: (-item[1], item[0]))
    return RecallFrame(
        {memories[seq].id: value for seq, value in arrived if seq in memories},
        carried_by_id(frame.edges, memories),
        frame.left_out,
    )


def _boosted(came: float, *, boost: float, direct: float) -> float:
    """What is due to the boost of a memory's own type in what came to it over relations."""
    with_and_without = relations_part(np.array([came, came / boost]), direct=np.full(2, direct))
    return float(with_and_without[0] - with_and_without[1])
