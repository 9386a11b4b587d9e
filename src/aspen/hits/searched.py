"""From a search's rows and seqs to hits: memories with their texts, and the ways on which activation came to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aspen.memory_graph import SpreadingSettings
from aspen.repository import Repository
from aspen.resonance_search import SearchResult, Way
from aspen.types import Hit, HitPath, Memory


def hits_of(result: SearchResult, *, repository: Repository, spreading: SpreadingSettings) -> tuple[Hit, ...]:
    """The ranked memories, best first. One that another process forgot while we searched is left out."""
    seqs = {seq for ranked in result.ranked for way in ranked.paths for seq in way.nodes}
    rows = {ranked.row for ranked in result.ranked}
    seqs |= {ranked.corrected_by for ranked in result.ranked if ranked.corrected_by is not None}
    seqs |= {int(result.seqs[row]) for row in rows}
    memories = {memory.seq: memory for memory in repository.get_by_seq(sorted(seqs))}
    by_row = {row: memories[seq] for row in rows if (seq := int(result.seqs[row])) in memories}
    return tuple(
        Hit(
            memory=memory,
            score=ranked.score,
            arms=ranked.parts,
            paths=paths_of(ranked.paths, memories),
            familiarity=result.familiarity.get(ranked.row, 0.0),
            seed_score=ranked.direct,
            activation=ranked.activation,
            type_boost=spreading.type_boost.get(memory.type.value, 1.0),
            priority=float(result.priority[ranked.row]),
            corrected_by=memories[ranked.corrected_by].id if ranked.corrected_by in memories else None,
        )
        for ranked in result.ranked
        if (memory := by_row.get(ranked.row)) is not None
    )


def paths_of(ways: Iterable[Way], memories: Mapping[int, Memory]) -> tuple[HitPath, ...]:
    """Ways with the ids of their memories; those over a memory that is not there any more are left out."""
    return tuple(
        HitPath(tuple(memories[seq].id for seq in way.nodes), way.contribution, way.via, way.relations)
        for way in ways
        if all(seq in memories for seq in way.nodes)
    )
