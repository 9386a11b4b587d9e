"""Connections: one borrower at a time, reused, none of them alive across a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from typing import Any
from weakref import WeakSet

import apsw

from aspen.errors import StoreError
from aspen.repository._rows import Row
from aspen.repository._sqlite._errors import translated
from aspen.repository._sqlite._statements import queries


class Session:
    """One borrowed connection. It runs named queries, and always to their end.

    apsw runs a statement only as far as its rows are fetched: fetching all is what makes it run.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.deleted = False
        """Set by a transaction that deletes what must not be found in the files afterwards."""

    def rows(self, query: str, /, **values: Any) -> list[Row]:
        """All rows."""
        return self.connection.execute(queries()[query], values).fetchall()

    def row(self, query: str, /, **values: Any) -> Row | None:
        """The first row, None where there is none."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def value(self, query: str, /, **values: Any) -> Any:
        """The first column of the first row, None where there is no row."""
        found = self.row(query, **values)
        return found[0] if found else None

    def iterate(self, query: str, /, **values: Any) -> Iterator[Row]:
        """Rows one by one, for results too large to hold twice. Fetch them all."""
        return iter(self.connection.execute(queries()[query], values))

    def run(self, query: str, /, **values: Any) -> None:
        """Run it for what it does."""
        self.rows(query, **values)

    def run_many(self, query: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each set of parameters."""
        self.connection.executemany(queries()[query], values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything inside sees the store at one moment."""
        with self._transaction("begin_read"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All inside is written, or nothing. IMMEDIATE: a transaction that reads first cannot fail later as busy."""
        with self._transaction("begin_write"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.run(begin)
        try:
            yield
            self.run("commit")
        except BaseException:
            # A full disk makes SQLite roll back by itself.
            if self.connection.in_transaction:
                self.run("rollback")
            raise


class Pool:
    """Hands out connections to one store. Thread-safe.

    A fork closes every connection before it happens, and waits for the calls under way: SQLite keeps its table of
    file locks in memory, and a child that inherits the table believes that it holds locks which it does not.
    """

    def __init__(self, path: Path, connect: Callable[[], apsw.Connection], *, reuse: bool) -> None:
        self._path = path
        self._connect = connect
        self._reuse = reuse
        self._idle: list[apsw.Connection] = []
        self._generation = 0  # of the connections that may be borrowed again
        self._borrowed = 0
        self._closed = False
        self._forking = False
        self._changed = Condition(Lock())
        _pools.add(self)

    @contextmanager
    def borrow(self) -> Iterator[Session]:
        """A session of one's own; the driver's errors come out as Aspen's."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            if self._closed:
                raise StoreError(f"The store {self._path} is closed.", hint="Open it again.")
            connection = self._idle.pop() if self._idle else None
            self._borrowed += 1
            generation = self._generation
        try:
            with translated(self._path):
                connection = connection or self._connect()
                yield Session(connection)
        finally:
            with self._changed:
                self._borrowed -= 1
                if connection is not None:
                    self._give_back(connection, generation)
                self._changed.notify_all()

    def renew(self) -> None:
        """Borrow no connection again that was opened before, so that the pages it keeps in memory are let go."""
        with self._changed:
            self._generation += 1
            while self._idle:
                self._idle.pop().close()

    def _give_back(self, connection: apsw.Connection, generation: int) -> None:
        if self._reuse and generation == self._generation and not connection.in_transaction:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> bool:
        """Wait for the borrowed connections, then close all; False if that was done before."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._close_idle()
            return first

    def _close_idle(self) -> None:
        self._changed.wait_for(lambda: self._borrowed == 0)
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Close all connections and let nobody borrow one."""
        self._changed.acquire()
        self._forking = True
        self._close_idle()

    def after_fork(self) -> None:
        """In parent and child: go on."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


_pools: WeakSet[Pool] = WeakSet()
_paused: list[Pool] = []
_fork = Lock()


def _before_fork() -> None:
    _fork.acquire()
    for pool in list(_pools):
        pool.before_fork()
        _paused.append(pool)


def _after_fork() -> None:
    while _paused:
        _paused.pop().after_fork()
    _fork.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
