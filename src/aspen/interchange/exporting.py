"""Exporting memories as JSONL, oldest first, then their relations: what `aspen import` needs to make the same again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from aspen.aspen import Aspen
from aspen.errors import InvalidInput, NotFound, StoreNotWritable
from aspen.files import write_atomically
from aspen.interchange.aspen_jsonl import HEADER, as_line, as_relation_line, header
from aspen.interchange.paths import checked_path
from aspen.repository import NEXT, Repository, edges_of
from aspen.types import Edge, Memory, Provenance, Relation, RelationType

_PAGE = 10_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ExportReport:
    """How many memories and relations were written."""

    memories: int
    relations: int


def export_memories(
    aspen: Aspen,
    target: str | Path | TextIO,
    *,
    conversation: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> ExportReport:
    """Write every memory, or those of one conversation, and the relations between them.

    Traces, keys, and how often and when memories were used stay in the store. So do the "next" relations that a store
    makes by itself: importing the memories makes those that are right there, beside what is there already.

    A file is written aside and renamed, readable for its owner only; an older export at its path is replaced, any
    other file is not (InvalidInput). What is remembered while the export runs is not in it. `progress` is called
    with the number of memories written so far.
    """
    seqs = _oldest_first(aspen.repository, conversation)
    if conversation is not None and not seqs:
        raise NotFound(
            f"There is no conversation {conversation!r}.",
            hint="The list of conversations (`aspen list --conversations`) shows them.",
        )
    if not isinstance(target, str | Path):
        return _write(aspen.repository, seqs, target, progress)
    with _written_aside(checked_path(aspen, target)) as file:
        return _write(aspen.repository, seqs, file, progress)


def _oldest_first(repository: Repository, conversation: str | None) -> list[int]:
    """Seqs in ascending order. The store lists newest first, so the whole is gone through once to turn it round."""
    seqs: list[int] = []
    before = None
    while page := repository.list(conversation=conversation, before=before, limit=_PAGE):
        seqs += [memory.seq for memory in page]
        before = page[-1].seq
    return seqs[::-1]


def _write(
    repository: Repository, seqs: list[int], file: TextIO, progress: Callable[[int], None]
) -> ExportReport:
    file.write(_json(header(exported_at=datetime.now(UTC))))
    written = _Written()
    for start in range(0, len(seqs), _AT_ONCE):
        memories = repository.get_by_seq(seqs[start : start + _AT_ONCE])
        file.writelines(_json(as_line(memory)) for memory in memories)
        written.add(memories)
        progress(len(written.ids))
    # Not `out_edges`, which ends at 10,000 of one memory.
    edges = [edge for edge in edges_of(repository.changes(0).edges) if written.has(edge)]
    edges.sort(key=lambda edge: (edge.source, edge.target, edge.type))
    file.writelines(_json(as_relation_line(written.relation(edge))) for edge in edges)
    return ExportReport(len(written.ids), len(edges))


class _Written:
    """The memories that stand in the file, by seq."""

    def __init__(self) -> None:
        self.ids: dict[int, str] = {}
        self._last: dict[str, int] = {}
        self._next: dict[int, int] = {}

    def add(self, memories: list[Memory]) -> None:
        """Note memories that were written, in ascending order."""
        for memory in memories:
            self.ids[memory.seq] = memory.id
            if memory.conversation is None:
                continue
            if memory.conversation in self._last:
                self._next[self._last[memory.conversation]] = memory.seq
            self._last[memory.conversation] = memory.seq

    def has(self, edge: Edge) -> bool:
        """Whether both ends stand in the file, and the store does not make the edge by itself."""
        if edge.source not in self.ids or edge.target not in self.ids:
            return False
        own = (NEXT, 1.0, Provenance.INFERRED)
        by_itself = self._next.get(edge.source) == edge.target
        return not (by_itself and (edge.type, edge.weight, edge.provenance) == own)

    def relation(self, edge: Edge) -> Relation:
        return Relation(
            self.ids[edge.source],
            self.ids[edge.target],
            RelationType(edge.type),
            edge.weight,
            edge.provenance,
        )


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


@contextmanager
def _written_aside(path: Path) -> Iterator[TextIO]:
    """A text file that is renamed to `path` when all is written; nothing is left of it otherwise."""
    try:
        path = path.resolve()  # a link goes on pointing where it points
        _check_replaceable(path)
        with write_atomically(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise StoreNotWritable(
            f"{path} cannot be written: {error.strerror or error}.",  # not the file aside, which the error names
            hint="Choose a folder that exists, is writable and has room.",
            path=str(path),
        ) from error


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder.", hint="Give the path of a file.", path=str(path))
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(64)
    if start and not start.startswith(f'{{"{HEADER}"'.encode()):
        raise InvalidInput(
            f"{path} is there already and is not an export of Aspen's.",
            hint="Choose another path, or remove the file.",
            path=str(path),
        )
