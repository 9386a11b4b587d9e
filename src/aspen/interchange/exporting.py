"""Exporting memories as JSONL, oldest first: what `aspen import` needs to make the same ids again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from aspen.aspen import Aspen
from aspen.errors import InvalidInput, NotFound, StoreNotWritable
from aspen.files import write_atomically
from aspen.interchange.aspen_jsonl import HEADER, as_line, header
from aspen.interchange.paths import checked_path
from aspen.repository import Repository

_PAGE = 10_000
_AT_ONCE = 500


def export_memories(
    aspen: Aspen,
    target: str | Path | TextIO,
    *,
    conversation: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write every memory, or those of one conversation; returns how many. Traces and keys stay in the store.

    A file is written aside and renamed, readable for its owner only; an older export at its path is replaced, any
    other file is not (InvalidInput). What is remembered while the export runs is not in it. `progress` is called
    with the number of memories written so far.
    """
    seqs = _oldest_first(aspen.repository, conversation)
    if conversation is not None and not seqs:
        raise NotFound(
            f"There is no conversation {conversation!r}.", hint="`aspen list --conversations` shows them."
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


def _write(repository: Repository, seqs: list[int], file: TextIO, progress: Callable[[int], None]) -> int:
    file.write(_json(header(exported_at=datetime.now(UTC))))
    done = 0
    for start in range(0, len(seqs), _AT_ONCE):
        memories = repository.get_by_seq(seqs[start : start + _AT_ONCE])
        file.writelines(_json(as_line(memory)) for memory in memories)
        done += len(memories)
        progress(done)
    return done


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
            f"{path} cannot be written: {error}.",
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
