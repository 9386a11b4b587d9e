"""Importing a file: in batches, each of them one transaction, so that it can be stopped and started again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aspen.aspen import Aspen
from aspen.errors import InvalidInput, ModelError
from aspen.interchange.formats import READERS, Format, detect_format
from aspen.interchange.paths import checked_path
from aspen.interchange.records import LeftOut, Problem, Reading, Record, Source
from aspen.items import memory_id
from aspen.types import MemoryItem
from aspen.validation import check_name

BATCH = 128
"""Memories of one transaction."""
_MOST_PROBLEMS = 1000
"""Problems named in a report; the others are only counted."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is; `done` is the share of the file, in [0, 1]."""

    done: float
    stored: int
    already_there: int
    bad: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import.

    `read` records were memories: `stored` of them are new, `already_there` were known, from an earlier run or
    because the file has them twice. `left_out` were no memories (system prompts, messages without text). `bad`
    could not be read or stored; `problems` are the first 1,000 of them.
    """

    format: Format
    read: int
    stored: int
    already_there: int
    left_out: int
    bad: int
    problems: tuple[Problem, ...]


def import_file(
    aspen: Aspen,
    path: str | Path,
    *,
    format: Format | None = None,  # noqa: A002 - the word of the command line
    conversation: str | None = None,
    progress: Callable[[ImportProgress], None] = lambda progress: None,
) -> ImportReport:
    """Remember what a file holds. Bad records are reported, the others kept.

    Ids are made of the contents and of the place in the file, so a second run of the same file adds nothing, and a
    run after an interrupted one goes on where that stopped.

    Parameters
    ----------
    format:
        The format of the file; told by its content where None.
    conversation:
        For the records that name none.
    progress:
        Called after each batch of 128 memories.
    """
    source = Source(checked_path(aspen, path), check_name(conversation, what="conversation"))
    chosen = format or detect_format(source.path)
    tally = _Tally()
    for batch in _batches(READERS[chosen](source), tally):
        _store(aspen, batch, tally)
        progress(ImportProgress(batch[-1].done, tally.stored, tally.read - tally.stored, tally.bad))
    return ImportReport(
        format=chosen,
        read=tally.read,
        stored=tally.stored,
        already_there=tally.read - tally.stored,
        left_out=tally.left_out,
        bad=tally.bad,
        problems=tuple(tally.problems),
    )


class _Tally:
    """Counts, filled while a file is read."""

    def __init__(self) -> None:
        self.read = self.stored = self.left_out = self.bad = 0
        self.problems: list[Problem] = []

    def note(self, problem: Problem) -> None:
        self.bad += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def _batches(readings: Iterable[Reading], tally: _Tally) -> Iterable[Sequence[Record]]:
    batch: list[Record] = []
    for reading in readings:
        match reading:
            case Problem():
                tally.note(reading)
            case LeftOut():
                tally.left_out += 1
            case Record():
                batch.append(reading)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _store(aspen: Aspen, batch: Sequence[Record], tally: _Tally) -> None:
    """Remember a batch; where that is refused, its records one by one, so that only bad ones are left out."""
    try:
        stored = _remember(aspen, [record.item for record in batch])
    except (InvalidInput, ModelError) as error:
        aspen.engine  # noqa: B018 - a model that does not load is no fault of a record: raises
        if len(batch) == 1:
            tally.note(Problem(batch[0].number, error.message.removeprefix("Item 0: ")))
            return
        for record in batch:
            _store(aspen, [record], tally)
    else:
        tally.stored += stored
        tally.read += len(batch)


def _remember(aspen: Aspen, items: Sequence[MemoryItem]) -> int:
    """Remember `items`; returns how many of them are new."""
    ids = {memory_id(item) for item in items}
    new = len(ids - set(aspen.repository.known(sorted(ids))))
    if new:
        aspen.remember_many(items)
    return new
