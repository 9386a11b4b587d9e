"""What every method of the SQLite repository stands on: an open file, and transactions on it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from aspen.repository._sqlite._errors import not_writable
from aspen.repository._sqlite._file import prepare
from aspen.repository._sqlite._pool import Pool, Session
from aspen.repository._sqlite._wiping import checkpoint

_LOG_LIMIT = 1000
"""Pages in the write-ahead log (16 MiB) after which a commit moves them into the file."""
_READER_PATIENCE = 0.25
"""Seconds that forgetting waits for readers of older moments before it leaves cutting the log to a later call."""

logger = logging.getLogger(__name__)


class OpenStore:
    """A store in a file, open."""

    def __init__(self, path: Path | str, *, busy_timeout: float = 10.0) -> None:
        self._path = Path(path).absolute()
        self._file = prepare(self._path, busy_timeout)
        self._pool = Pool(self._path, self._connect, reuse=not self._file.immutable)
        self._log_pages = 0
        self._wipe_due = False

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def writable(self) -> bool:
        return self._file.writable

    def _connect(self) -> apsw.Connection:
        return self._file.connect(self._note_commit)

    def _note_commit(self, log_pages: int) -> None:
        self._log_pages = log_pages

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._pool.borrow() as session, session.reading():
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """One transaction; where it deleted something, that is gone when it ends, from files and cached pages too."""
        if not self.writable:
            raise not_writable(self._path)
        with self._pool.borrow() as session:
            with session.writing():
                yield session
            if session.deleted:
                self._pool.renew()
            if session.deleted or self._wipe_due or self._log_pages >= _LOG_LIMIT:
                self._checkpoint(wipe=session.deleted or self._wipe_due, patience=_READER_PATIENCE)

    def _checkpoint(self, *, wipe: bool, patience: float) -> None:
        """Never fails the call that committed: the log still holds everything, and the next call tries again."""
        self._log_pages = 0
        try:
            done = checkpoint(self._path, truncate=wipe, patience=patience)
        except apsw.Error as error:
            done = False
            logger.warning("The write-ahead log of %s could not be moved into it: %s", self._path, error)
        self._wipe_due = wipe and not done

    def close(self) -> None:
        if self._pool.close() and self.writable:
            # The last connection, so that SQLite removes the log; other processes may still hold it.
            self._checkpoint(wipe=self._wipe_due, patience=0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
