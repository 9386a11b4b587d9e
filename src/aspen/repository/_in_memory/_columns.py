"""Columns of the rows that a store hands over, made of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository.values import (
    NO_TIME,
    AccessRows,
    EdgeRows,
    MemoryRows,
    Mention,
    MentionRows,
    PriorityRows,
    TraitRows,
)
from aspen.types import Edge, Memory


def mention_rows(mentions: Iterable[tuple[int, Mention]]) -> MentionRows:
    """Mentions with the seqs of their memories, in the order given."""
    columns = list(mentions)
    return MentionRows(
        seqs=np.array([seq for seq, _ in columns], dtype=np.int64),
        names=[mention.name for _, mention in columns],
        starts=np.array([mention.start for _, mention in columns], dtype=np.int32),
        stops=np.array([mention.stop for _, mention in columns], dtype=np.int32),
    )


def trait_rows(traits: Iterable[tuple[int, Mapping[str, float]]]) -> TraitRows:
    """Traits by seq, in the order of the seqs given."""
    columns = [(seq, name, value) for seq, own in traits for name, value in sorted(own.items())]
    return TraitRows(
        seqs=np.array([seq for seq, _, _ in columns], dtype=np.int64),
        names=[name for _, name, _ in columns],
        values=np.array([value for _, _, value in columns], dtype=np.float32),
    )


def edge_rows(edges: Iterable[Edge]) -> EdgeRows:
    """Edges in the order given."""
    columns = list(edges)
    return EdgeRows(
        sources=np.array([edge.source for edge in columns], dtype=np.int64),
        targets=np.array([edge.target for edge in columns], dtype=np.int64),
        types=[edge.type for edge in columns],
        weights=np.array([edge.weight for edge in columns], dtype=np.float64),
        provenances=[edge.provenance.value for edge in columns],
    )


def access_rows(memories: Iterable[Memory]) -> AccessRows:
    """How often memories were used, and when last, in the order given."""
    columns = [
        (memory.seq, memory.access_count, incoming.to_microseconds(memory.accessed_at))
        for memory in memories
        if memory.accessed_at is not None
    ]
    seqs, counts, times = zip(*columns, strict=True) if columns else ((), (), ())
    return AccessRows(*(np.array(column, dtype=np.int64) for column in (seqs, counts, times)))


def priority_rows(memories: Sequence[Memory]) -> PriorityRows:
    """What the priority of memories follows from, in the order given."""
    used_at = [incoming.to_microseconds(memory.accessed_at or memory.created_at) for memory in memories]
    return PriorityRows(
        seqs=np.array([memory.seq for memory in memories], dtype=np.int64),
        types=[memory.type.value for memory in memories],
        stabilities=[memory.stability.value for memory in memories],
        importances=np.array([memory.importance for memory in memories], dtype=np.float64),
        emotions=_intensities(memories),
        counts=np.array([memory.access_count for memory in memories], dtype=np.int64),
        used_at=np.array(used_at, dtype=np.int64),
    )


def _intensities(memories: Sequence[Memory]) -> NDArray[np.float64]:
    return np.array([m.emotion.intensity if m.emotion else 0 for m in memories], dtype=np.float64)


def memory_rows(
    memories: Sequence[Memory],
    *,
    subjects: list[str | None],
    term_counts: Sequence[int],
    keys: Sequence[bytes],
    key_size: int,
) -> MemoryRows:
    """Memories with what a store keeps of each beside it, in the order given."""
    times = [memory.said_at and incoming.to_microseconds(memory.said_at) for memory in memories]
    return MemoryRows(
        seqs=np.array([memory.seq for memory in memories], dtype=np.int64),
        conversations=[memory.conversation for memory in memories],
        speakers=[memory.speaker for memory in memories],
        subjects=subjects,
        provenances=[memory.provenance.value for memory in memories],
        types=[memory.type.value for memory in memories],
        stabilities=[memory.stability.value for memory in memories],
        importances=np.array([memory.importance for memory in memories], dtype=np.float64),
        emotions=_intensities(memories),
        tags=[memory.tags for memory in memories],
        created_at=np.array([incoming.to_microseconds(m.created_at) for m in memories], dtype=np.int64),
        said_at=np.array([NO_TIME if time is None else time for time in times], dtype=np.int64),
        token_counts=np.array([memory.token_count for memory in memories], dtype=np.int32),
        term_counts=np.array(term_counts, dtype=np.int32),
        keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(memories), key_size),
    )
