"""Copies of stores of another kind: the same rows, seqs and revisions, in a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aspen.errors import StoreError
from aspen.repository._sqlite._file import replacing
from aspen.repository._sqlite._pool import Session
from aspen.repository._sqlite._repository import SQLiteRepository


@contextmanager
def copied_to(destination: Path, *, revision: int, last_seq: int, unrelated: int) -> Iterator[Session]:
    """A transaction on an empty store, which then takes the place of what is at `destination`."""
    with replacing(destination) as aside:
        with SQLiteRepository(aside) as copy, copy._writing() as session:
            yield session
            session.run("set_revision", revision=revision)
            session.run("note_unrelated", revision=unrelated)
            session.run("forget_last_seq")
            session.run("set_last_seq", seq=last_seq)
        if aside.with_name(aside.name + "-wal").exists():
            raise StoreError(
                f"The copy {destination} could not be finished: its log did not reach the file.",
                hint="Look at the free space and the health of the disk, then try again.",
                path=str(destination),
            )
