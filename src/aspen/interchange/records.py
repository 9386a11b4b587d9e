"""What a reader yields, and how fields of foreign records become those of a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.items import checked_item
from aspen.types import MemoryItem, Provenance, Relation, RelationType
from aspen.validation import check_choice, check_name, check_share

TIME_NAMES = ("said_at", "created", "created_at", "timestamp")
"""Fields that hold the time of a record, the first that is there counts."""
KIND_NAMES = ("type", "stability", "importance", "emotion", "tags")
"""Fields that say what kind of memory a record is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = 1e11  # as seconds this would be the year 5138


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder to read. `conversation` is for the records that name none."""

    path: Path
    conversation: str | None = None

    def place(self, number: int) -> str:
        """A source for a record without a name of its own: the file's name and the record's number."""
        name = "".join(c if c.isprintable() else "?" for c in self.path.name)
        return f"{name}:{number}"


@dataclass(frozen=True, slots=True)
class Record:
    """A memory that was read. `number` is its line or record, from 1; `done` the share of the file read, in [0, 1].

    `id` is what relations of the same file call it, if anything.
    """

    number: int
    item: MemoryItem
    done: float
    id: str | None = None


@dataclass(frozen=True, slots=True)
class RelationRecord:
    """A relation that was read. Its ends are ids of records of the same file, or else of stored memories."""

    number: int
    relation: Relation


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be read: its line or record number, from 1, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a record that is no memory: a system prompt, a tool call without text."""

    number: int


Reading = Record | RelationRecord | Problem | LeftOut
Reader = Callable[[Source], Iterator[Reading]]


def as_record(
    number: int,
    fields: Mapping[str, object],
    *,
    done: float,
    where: str = "",
    provenance: object = Provenance.IMPORTED,
    id: object = None,  # noqa: A002 - the word of the files
) -> Record | Problem:
    """The fields of a MemoryItem as a record, or the problem with them; `where` names the place in the record.

    `id` is what relations of the same file call it; nothing can, where it is no string.
    """
    try:
        item = checked_item({"provenance": provenance, **fields})
    except InvalidInput as error:
        return Problem(number, f"{where}{error}")
    return Record(number, item, done, id if isinstance(id, str) else None)


def is_relation(record: Mapping[str, object]) -> bool:
    """Whether a line of JSONL is a relation: a line with a text is a memory, whatever else it has."""
    return "relation" in record and "text" not in record


def as_relation(number: int, record: Mapping[str, object]) -> RelationRecord | Problem:
    """`{"relation": TYPE, "from": ID, "to": ID, "weight": ...}` as a relation, or the problem with it."""
    weight = record.get("weight")
    try:
        relation = Relation(
            source=_end(record, "from"),
            target=_end(record, "to"),
            type=check_choice(record["relation"], RelationType, what="relation"),
            provenance=check_choice(
                record.get("provenance") or Provenance.IMPORTED, Provenance, what="provenance"
            ),
        )
        if weight is not None:
            relation = replace(relation, weight=check_share(weight, what="weight"))
    except InvalidInput as error:
        return Problem(number, str(error))
    return RelationRecord(number, relation)


def _end(record: Mapping[str, object], name: str) -> str:
    checked = check_name(name_in(record, name), what=f"{name!r}")
    if checked is None:
        raise InvalidInput(f"the relation has no {name!r}, the id of a memory.")
    return checked


def kind_of(record: Mapping[str, object]) -> dict[str, object]:
    """Those fields of a record that say what kind of memory it is, as they stand."""
    return {name: record[name] for name in KIND_NAMES if record.get(name) is not None}


def moment(record: Mapping[str, object]) -> object:
    """The time of a record: seconds or milliseconds since 1970 as a datetime, anything else as it stands.

    InvalidInput where a number is no time.
    """
    name = next((name for name in TIME_NAMES if record.get(name) is not None), None)
    value = record[name] if name is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return _EPOCH + timedelta(seconds=value / 1000 if abs(value) > _MILLISECONDS else value)
    except (OverflowError, ValueError) as error:  # NaN is a ValueError
        raise InvalidInput(f"{name} {value!r} is no time.") from error


def name_in(record: Mapping[str, object], *names: str) -> object:
    """The first of these fields that is there; numbers, which often are ids, as text."""
    value = next((record[name] for name in names if record.get(name) not in (None, "")), None)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
