"""What callers hand in to be remembered: checked, and given its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from aspen.errors import InvalidInput
from aspen.types import Emotion, MemoryItem, MemoryType, Provenance, Stability
from aspen.validation import check_choice, check_collection, check_name, check_share, check_text, check_time

IMPORTANCES: Mapping[str, float] = {"high": 1.0, "medium": 0.6, "low": 0.3}
"""Words that stand for an importance."""
MAX_TAGS = 100
"""Most tags of one memory."""

_FIELDS = tuple(field.name for field in fields(MemoryItem))


def check_item(item: MemoryItem | Mapping[str, object], *, position: int = 0) -> MemoryItem:
    """`item` with every field checked and its time in UTC. InvalidInput names the item by `position` (from 0)."""
    try:
        return checked_item(item)
    except InvalidInput as error:
        raise InvalidInput(
            f"Item {position}: {error.message}", hint=error.hint, **{**error.details, "position": position}
        ) from error


def checked_item(item: MemoryItem | Mapping[str, object]) -> MemoryItem:
    """`item` with every field checked and its time in UTC, or InvalidInput."""
    given = _as_mapping(item)
    return MemoryItem(
        text=check_text(given.get("text")),
        speaker=check_name(given.get("speaker"), what="speaker"),
        said_at=check_time(_parsed(given.get("said_at"))),
        conversation=check_name(given.get("conversation"), what="conversation"),
        source=check_name(given.get("source"), what="source"),
        provenance=check_choice(given.get("provenance", Provenance.SAID), Provenance, what="provenance"),
        type=check_choice(given.get("type", MemoryType.EPISODIC), MemoryType, what="type"),
        stability=check_choice(given.get("stability", Stability.TENTATIVE), Stability, what="stability"),
        importance=_importance(given.get("importance", IMPORTANCES["medium"])),
        emotion=_emotion(given.get("emotion")),
        tags=_tags(given.get("tags", ())),
    )


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


def _importance(value: object) -> float:
    if isinstance(value, str) and value in IMPORTANCES:
        return IMPORTANCES[value]
    return check_share(value, what="importance")


def _emotion(value: object) -> Emotion | None:
    if value is None:
        return None
    if isinstance(value, Mapping) and set(value) <= {"label", "intensity"}:
        value = Emotion(value.get("label"), value.get("intensity"))  # type: ignore[arg-type]  # checked below
    if not isinstance(value, Emotion):
        raise InvalidInput(
            f"emotion must be an Emotion, got {value!r}.",
            hint='As a mapping it is {"label": "joy", "intensity": 0.8}.',
        )
    label = check_name(value.label, what="label of the emotion")
    if label is None:
        raise InvalidInput("An emotion needs a label.", hint='As in {"label": "joy", "intensity": 0.8}.')
    return Emotion(label, check_share(value.intensity, what="intensity of the emotion"))


def _tags(value: object) -> tuple[str, ...]:
    """Each tag once, ascending."""
    tags = {check_name(tag, what="tag") for tag in check_collection(value, what="tags")}
    if None in tags:
        raise InvalidInput("A tag must be a string, got None.")
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"A memory has at most {MAX_TAGS} tags, got {len(tags)}.")
    return tuple(sorted(tag for tag in tags if tag is not None))
