"""Importing a file: in batches, each of them one transaction, so that it can be stopped and started again.

Relations are stored when all memories are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aspen.aspen import Aspen
from aspen.errors import InvalidInput, ModelError
from aspen.interchange.formats import READERS, Format, detect_format
from aspen.interchange.paths import checked_path
from aspen.interchange.records import LeftOut, Problem, Reading, Record, RelationRecord, Source
from aspen.interchange.relations import FileRelations
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
    relations: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import.

    `read` records were memories: `stored` of them are new, `already_there` were known, from an earlier run or
    because the file has them twice. `left_out` were no memories (system prompts, messages without text). `relations`
    were relations between memories: `relations_stored` of them are new, or have another weight or provenance now.
    `bad` could not be read or stored; `problems` are 1,000 of them at most, in the order of the file.
    """

    format: Format
    read: int
    stored: int
    already_there: int
    left_out: int
    relations: int
    relations_stored: int
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
    run after an interrupted one goes on where that stopped. A memory that is known stays as it is; a relation with the
    same ends and type takes the weight of the file.

    Parameters
    ----------
    format:
        The format of the file; told by its content where None.
    conversation:
        For the records that name none.
    progress:
        Called after each batch of 128 memories, and then of 1,000 relations.
    """
    source = Source(checked_path(aspen, path), check_name(conversation, what="conversation"))
    chosen = format or detect_format(source.path)
    tally = _Tally()
    for batch in _batches(READERS[chosen](source), tally):
        _store(aspen, batch, tally)
        progress(tally.progress(batch[-1].done))
    relations = tally.relations.store(
        aspen, note=tally.note, progress=lambda stored: progress(tally.progress(1.0, relations=stored))
    )
    return ImportReport(
        format=chosen,
        read=tally.read,
        stored=tally.stored,
        already_there=tally.read - tally.stored,
        left_out=tally.left_out,
        relations=relations.read,
        relations_stored=relations.stored,
        bad=tally.bad,
        problems=tuple(sorted(tally.problems, key=lambda problem: problem.number)),
    )


class _Tally:
    """Counts, filled while a file is read, and the relations that are to be stored after it."""

    def __init__(self) -> None:
        self.read = self.stored = self.left_out = self.bad = 0
        self.problems: list[Problem] = []
        self.relations = FileRelations()

    def progress(self, done: float, *, relations: int = 0) -> ImportProgress:
        return ImportProgress(done, self.stored, self.read - self.stored, self.bad, relations)

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
            case RelationRecord():
                tally.relations.add(reading)
            case Record():
                batch.append(reading)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _store(aspen: Aspen, batch: Sequence[Record], tally: _Tally) -> None:
    """Remember a batch; where that is refused, its records one by one, so that only bad ones are left out."""
    ids = [memory_id(record.item) for record in batch]
    try:
        stored = _remember(aspen, dict(zip(ids, (record.item for record in batch), strict=True)))
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
        for id_, record in zip(ids, batch, strict=True):
            if record.id is not None:
                tally.relations.name(record.id, id_)


def _remember(aspen: Aspen, items: Mapping[str, MemoryItem]) -> int:
    """Remember `items`, by the id that each will have; returns how many of them are new."""
    new = len(items.keys() - aspen.repository.known(sorted(items)))
    if new:
        aspen.remember_many(list(items.values()))
    return new
