"""What callers hand in to be remembered: checked, and given its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from aspen.errors import InvalidInput
from aspen.types import MemoryItem, Provenance
from aspen.validation import check_name, check_text, check_time

_FIELDS = tuple(field.name for field in fields(MemoryItem))


def check_item(item: MemoryItem | Mapping[str, object], *, position: int = 0) -> MemoryItem:
    """`item` with every field checked and its time in UTC. InvalidInput names the item by `position` (from 0)."""
    try:
        given = _as_mapping(item)
        return MemoryItem(
            text=check_text(given.get("text")),
            speaker=check_name(given.get("speaker"), what="speaker"),
            said_at=check_time(_parsed(given.get("said_at"))),
            conversation=check_name(given.get("conversation"), what="conversation"),
            source=check_name(given.get("source"), what="source"),
            provenance=_provenance(given.get("provenance", Provenance.SAID)),
        )
    except InvalidInput as error:
        raise InvalidInput(
            f"Item {position}: {error.message}", hint=error.hint, **{**error.details, "position": position}
        ) from error


def memory_id(item: MemoryItem) -> str:
    """The id of a checked item: equal items have equal ids, in every store."""
    said_at = item.said_at.isoformat() if item.said_at else None
    facts = [item.conversation, item.speaker, said_at, item.text, item.source]
    digest = hashlib.blake2b(json.dumps(facts, ensure_ascii=False).encode(), digest_size=10)
    return f"m_{digest.hexdigest()}"


def _as_mapping(item: MemoryItem | Mapping[str, object]) -> Mapping[str, object]:
    if isinstance(item, MemoryItem):
        return {name: getattr(item, name) for name in _FIELDS}
    if not isinstance(item, Mapping):
        raise InvalidInput(f"expected a MemoryItem or a mapping, got {type(item).__name__}.")
    unknown = [str(name) for name in item if name not in _FIELDS]
    if unknown:
        raise InvalidInput(f"unknown field {unknown[0]!r}.", hint=f"The fields are {', '.join(_FIELDS)}.")
    return item


def _parsed(time: object) -> object:
    if not isinstance(time, str):
        return time
    try:
        return datetime.fromisoformat(time)
    except ValueError as error:
        raise InvalidInput(
            f"said_at {time!r} is no date.", hint="Write it as in 2026-05-02T18:30:00+02:00 (ISO 8601)."
        ) from error


def _provenance(value: object) -> Provenance:
    try:
        return Provenance(str(value))
    except ValueError as error:
        raise InvalidInput(
            f"unknown provenance {value!r}.", hint=f"One of {', '.join(Provenance)}."
        ) from error
