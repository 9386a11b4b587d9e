"""What a reader yields, and how fields of foreign records become those of a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.items import check_item
from aspen.types import MemoryItem, Provenance

TIME_NAMES = ("said_at", "created", "created_at", "timestamp")
"""Fields that hold the time of a record, the first that is there counts."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = 1e11  # as seconds this would be the year 5138


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read. `conversation` is for the records that name none."""

    path: Path
    conversation: str | None = None

    def place(self, number: int) -> str:
        """A source for a record without a name of its own: the file's name and the record's number."""
        name = "".join(c if c.isprintable() else "?" for c in self.path.name)
        return f"{name}:{number}"


@dataclass(frozen=True, slots=True)
class Record:
    """A memory that was read. `number` is its line or record, from 1; `done` the share of the file read, in [0, 1]."""

    number: int
    item: MemoryItem
    done: float


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be read: its line or record number, from 1, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a record that is no memory: a system prompt, a tool call without text."""

    number: int


Reading = Record | Problem | LeftOut
Reader = Callable[[Source], Iterator[Reading]]


def as_record(
    number: int,
    fields: Mapping[str, object],
    *,
    done: float,
    where: str = "",
    provenance: object = Provenance.IMPORTED,
) -> Record | Problem:
    """The fields of a MemoryItem as a record, or the problem with them; `where` names the place in the record."""
    try:
        item = check_item({"provenance": provenance, **fields})
    except InvalidInput as error:
        return Problem(number, f"{where}{error.message.removeprefix('Item 0: ')}")
    return Record(number, item, done)


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
