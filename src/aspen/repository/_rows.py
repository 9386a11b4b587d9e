"""Rows of a database <-> Aspen's values. Both databases keep times as integers, and columns in one order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from aspen.repository import _incoming as incoming
from aspen.repository.values import (
    NO_TIME,
    AccessRows,
    EdgeRows,
    KeyStamp,
    MemoryRows,
    Mention,
    MentionRows,
    NewMemory,
    Postings,
    PriorityRows,
    TraceInfo,
    TraitRows,
)
from aspen.types import Emotion, Memory, MemoryType, Provenance, Stability

Row = tuple[Any, ...]

_BLOCK = 4096
"""Rows fetched at once, so that keys are never held twice."""


def memory_values(memory: Memory, *, new: NewMemory) -> dict[str, Any]:
    """The parameters of `add_memory`."""
    return {
        **kind_values(memory),
        "seq": memory.seq,
        "id": memory.id,
        "conversation": memory.conversation,
        "speaker": memory.speaker,
        "subject": new.subject,
        "said_at": None if memory.said_at is None else incoming.to_microseconds(memory.said_at),
        "source": memory.source,
        "provenance": str(memory.provenance),
        "created_at": incoming.to_microseconds(memory.created_at),
        "token_count": memory.token_count,
        "term_count": len(new.terms),
        "trace_id": memory.trace_id,
        "text": memory.text,
    }


def kind_values(memory: Memory) -> dict[str, Any]:
    """The parameters of `amend_memory` beside the memory's seq: what can be amended, and the version."""
    return {
        "type": memory.type.value,
        "stability": memory.stability.value,
        "importance": memory.importance,
        "emotion": memory.emotion.label if memory.emotion else None,
        "emotion_intensity": memory.emotion.intensity if memory.emotion else None,
        "tags": json.dumps(memory.tags, ensure_ascii=False) if memory.tags else None,
        "version": memory.version,
    }


def keyword_values(seq: int, terms: Sequence[str]) -> dict[str, Any]:
    """The parameters of `add_keywords`. No term has a blank: `_incoming` has seen to that."""
    return {"seq": seq, "terms": " ".join(terms)}


def mention_values(seq: int, mentions: Sequence[Mention]) -> list[dict[str, Any]]:
    """The parameters of `add_mention`."""
    return [
        {"seq": seq, "name": mention.name, "start": mention.start, "stop": mention.stop}
        for mention in mentions
    ]


def trait_values(seq: int, stamp: int, traits: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters of `add_trait`."""
    return [
        {"seq": seq, "stamp": stamp, "name": name, "value": float(value)} for name, value in traits.items()
    ]


def memory_of(row: Row) -> Memory:
    (
        memory_id,
        seq,
        text,
        speaker,
        said_at,
        conversation,
        source,
        provenance,
        created_at,
        token_count,
        trace_id,
        kind,
        stability,
        importance,
        emotion,
        intensity,
        tags,
        accessed_at,
        access_count,
        version,
    ) = row
    return Memory(
        id=memory_id,
        seq=seq,
        text=text,
        speaker=speaker,
        said_at=None if said_at is None else incoming.from_microseconds(said_at),
        conversation=conversation,
        source=source,
        provenance=Provenance(provenance),
        created_at=incoming.from_microseconds(created_at),
        token_count=token_count,
        trace_id=trace_id,
        type=MemoryType(kind),
        stability=Stability(stability),
        importance=importance,
        emotion=None if emotion is None else Emotion(emotion, intensity),
        tags=tags_of(tags),
        accessed_at=None if accessed_at is None else incoming.from_microseconds(accessed_at),
        access_count=access_count,
        version=version,
    )


def trace_info_of(row: Row) -> TraceInfo:
    trace_id, conversation, created_at, seed, level, size = row
    return TraceInfo(
        id=trace_id,
        conversation=conversation,
        created_at=incoming.from_microseconds(created_at),
        seed=seed,
        level=level,
        size=size,
    )


def stamp_of(row: Row) -> KeyStamp:
    _, model_id, model_name, key_version, _ = row
    return KeyStamp(model_id=model_id, model_name=model_name, key_version=key_version)


def postings_of(rows: list[Row]) -> Postings:
    seqs, positions = _columns(rows, 2)
    return Postings(seqs=np.array(seqs, dtype=np.int64), positions=np.array(positions, dtype=np.int32))


def mention_rows_of(rows: list[Row]) -> MentionRows:
    seqs, names, starts, stops = _columns(rows, 4)
    return MentionRows(
        seqs=np.array(seqs, dtype=np.int64),
        names=list(names),
        starts=np.array(starts, dtype=np.int32),
        stops=np.array(stops, dtype=np.int32),
    )


def trait_rows_of(rows: list[Row]) -> TraitRows:
    seqs, names, values = _columns(rows, 3)
    return TraitRows(
        seqs=np.array(seqs, dtype=np.int64), names=list(names), values=np.array(values, dtype=np.float32)
    )


def edge_rows_of(rows: list[Row]) -> EdgeRows:
    sources, targets, types, weights, provenances = _columns(rows, 5)
    return EdgeRows(
        sources=np.array(sources, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        types=list(types),
        weights=np.array(weights, dtype=np.float64),
        provenances=list(provenances),
    )


def access_rows_of(rows: list[Row]) -> AccessRows:
    return AccessRows(*(np.array(column, dtype=np.int64) for column in _columns(rows, 3)))


def priority_rows_of(rows: list[Row]) -> PriorityRows:
    seqs, types, stabilities, importances, emotions, counts, used_at = _columns(rows, 7)
    return PriorityRows(
        seqs=np.array(seqs, dtype=np.int64),
        types=list(types),
        stabilities=list(stabilities),
        importances=np.array(importances, dtype=np.float64),
        emotions=np.array(emotions, dtype=np.float64),
        counts=np.array(counts, dtype=np.int64),
        used_at=np.array(used_at, dtype=np.int64),
    )


def memory_rows_of(rows: Iterator[Row], *, count: int, key_size: int) -> MemoryRows:
    """`count` rows as columns: those of `MemoryRows` in their order, emotions NULL where there is none."""
    keys = np.empty((count, key_size), dtype=np.uint8)
    columns: list[list[Any]] = [[] for _ in range(14)]
    done = 0
    while block := list(islice(rows, _BLOCK)):
        *parts, bodies = zip(*block, strict=True)
        for column, part in zip(columns, parts, strict=True):
            column.extend(part)
        joined = np.frombuffer(b"".join(bodies), dtype=np.uint8)
        keys[done : done + len(block)] = joined.reshape(len(block), key_size)
        done += len(block)
    seqs, conversations, speakers, subjects, provenances, types, stabilities, importances = columns[:8]
    emotions, tags, created_at, said_at, token_counts, term_counts = columns[8:]
    return MemoryRows(
        seqs=np.array(seqs, dtype=np.int64),
        conversations=conversations,
        speakers=speakers,
        subjects=subjects,
        provenances=provenances,
        types=types,
        stabilities=stabilities,
        importances=np.array(importances, dtype=np.float64),
        emotions=np.array([intensity or 0.0 for intensity in emotions], dtype=np.float64),
        tags=[tags_of(own) for own in tags],
        created_at=np.array(created_at, dtype=np.int64),
        said_at=np.array([NO_TIME if time is None else time for time in said_at], dtype=np.int64),
        token_counts=np.array(token_counts, dtype=np.int32),
        term_counts=np.array(term_counts, dtype=np.int32),
        keys=keys,
    )


def tags_of(body: str | None) -> tuple[str, ...]:
    """From a JSON array, NULL for none."""
    return () if body is None else tuple(json.loads(body))


def _columns(rows: list[Row], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width
