"""Values to put into a store under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aspen.repository import (
    AccessRows,
    KeyStamp,
    Mention,
    MentionRows,
    NewMemory,
    NewTrace,
    Repository,
    TraceInfo,
    TraitRows,
)
from aspen.types import MemoryItem

STAMP = KeyStamp(model_id="weights-tokens", model_name="a-model", key_version="1")
NEXT_STAMP = KeyStamp(model_id="weights-tokens", model_name="a-model", key_version="2")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

OpenStore = Callable[[], Repository]
"""Opens one and the same store, empty at first, any number of times."""


def new_memory(
    id: str,  # noqa: A002  # the name of the field
    text: str = "",
    *,
    conversation: str | None = None,
    terms: tuple[str, ...] = (),
    key: bytes | None = None,
    trace_id: str | None = None,
    created_at: datetime = NOON,
    subject: str | None = None,
    mentions: tuple[Mention, ...] = (),
    traits: Mapping[str, float] | None = None,
    head_keys: bytes | None = None,
    **item: Any,
) -> NewMemory:
    """A memory with plausible values: text and key (8 bytes) are made from `id` where they are not given."""
    return NewMemory(
        id=id,
        item=MemoryItem(text=text or f"text of {id}", conversation=conversation, **item),
        created_at=created_at,
        token_count=7,
        terms=terms,
        key=new_key(id) if key is None else key,
        trace_id=trace_id,
        subject=subject,
        mentions=mentions,
        traits={} if traits is None else traits,
        head_keys=head_keys,
    )


def new_key(seed: str, *, size: int = 8) -> bytes:
    """A key of `size` bytes that is the same for the same seed."""
    return (seed.encode() * size)[:size]


def new_trace(
    id: str,  # noqa: A002
    body: bytes = b"activations",
    *,
    conversation: str | None = None,
    seed: int = 11,
    mentions: tuple[str, ...] = (),
) -> NewTrace:
    """A trace around any bytes."""
    info = TraceInfo(
        id=id, conversation=conversation, created_at=NOON, seed=seed, level="int8", size=len(body)
    )
    return NewTrace(info=info, body=body, mentions=mentions)


def accesses_of(rows: AccessRows) -> dict[int, tuple[int, int]]:
    """Columns of accesses as count and time by seq."""
    return dict(
        zip(rows.seqs.tolist(), zip(rows.counts.tolist(), rows.times.tolist(), strict=True), strict=True)
    )


def mentions_of(rows: MentionRows) -> list[tuple[int, Mention]]:
    """Columns of mentions as (seq, mention)."""
    columns = zip(rows.seqs.tolist(), rows.names, rows.starts.tolist(), rows.stops.tolist(), strict=True)
    return [(seq, Mention(*values)) for seq, *values in columns]


def traits_of(rows: TraitRows) -> list[tuple[int, str, float]]:
    """Columns of traits as (seq, name, value)."""
    return list(zip(rows.seqs.tolist(), rows.names, rows.values.tolist(), strict=True))
