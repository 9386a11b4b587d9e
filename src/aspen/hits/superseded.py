"""What holds now in the place of memories that were corrected."""

from __future__ import annotations

from collections.abc import Iterable

from aspen.repository import Repository
from aspen.types import Memory, RelationType

_VERSIONS = 100
"""Corrections of one memory that are followed: relations that go round in a circle have no end."""


def newest_versions(repository: Repository, seqs: Iterable[int]) -> dict[int, Memory]:
    """By seq of each memory that was corrected, what holds now; one whose corrections go round in a circle has none."""
    moving = {seq: seq for seq in seqs}
    newest: dict[int, int] = {}
    for _ in range(_VERSIONS):
        rows = repository.out_edges(
            sorted({*moving.values()}), fan=1, types=[RelationType.HISTORICAL_VERSION_OF.value]
        )
        newer = dict(zip(rows.sources.tolist(), rows.targets.tolist(), strict=True))
        newest |= {seq: now for seq, now in moving.items() if seq != now and now not in newer}
        moving = {seq: newer[now] for seq, now in moving.items() if now in newer}
        if not moving:
            break
    memories = {memory.seq: memory for memory in repository.get_by_seq(sorted({*newest.values()}))}
    return {seq: memories[now] for seq, now in newest.items() if now in memories}
