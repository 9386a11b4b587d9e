"""From a search's rows to hits: memories with their texts, and the ways on which activation came to them."""

from __future__ import annotations

from aspen.repository import Repository
from aspen.resonance_search import SearchResult
from aspen.types import Hit, HitPath


def hits_of(result: SearchResult, *, repository: Repository) -> tuple[Hit, ...]:
    """The ranked memories, best first. One that another process forgot while we searched is left out."""
    rows = {row for ranked in result.ranked for path in ranked.paths for row in path.nodes}
    rows |= {ranked.row for ranked in result.ranked}
    memories = {
        memory.seq: memory
        for memory in repository.get_by_seq([int(result.seqs[row]) for row in sorted(rows)])
    }
    by_row = {row: memories[seq] for row in rows if (seq := int(result.seqs[row])) in memories}
    return tuple(
        Hit(
            memory=by_row[ranked.row],
            score=ranked.score,
            arms=ranked.parts,
            paths=tuple(
                HitPath(tuple(by_row[row].id for row in path.nodes), path.contribution, path.via)
                for path in ranked.paths
                if all(row in by_row for row in path.nodes)
            ),
            familiarity=result.familiarity.get(ranked.row, 0.0),
        )
        for ranked in result.ranked
        if ranked.row in by_row
    )
