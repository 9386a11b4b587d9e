"""Connections: one borrower at a time, reused, none of them shared across a fork; and transactions on them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Condition, Lock
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from aspen.errors import StoreError
from aspen.repository._postgres._address import Address
from aspen.repository._postgres._connecting import Connection, connect, options, was_committed
from aspen.repository._postgres._errors import translated
from aspen.repository._postgres._statements import queries
from aspen.repository._rows import Row

MAX_CONNECTIONS = 10
"""Of one open store. More threads wait for each other."""
_BATCH = 1000
"""Rows sent at once: with the longest texts some 400 MB, of the 1 GB that one parameter can have."""


class Session:
    """One borrowed connection, in a transaction of one tenant. It runs named queries."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self.last_seq = 0
        """Known to a transaction that writes."""
        self.deleted = False
        """Set by a transaction that deletes what should not be found in the files afterwards."""

    def rows(self, query: str, /, **values: Any) -> list[Row]:
        """All rows."""
        # Binary: bytes come as they are, where text would double them.
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(queries()[query], {"tenant": self._tenant, **values}).fetchall()

    def row(self, query: str, /, **values: Any) -> Row | None:
        """The first row, None where there is none."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def value(self, query: str, /, **values: Any) -> Any:
        """The first column of the first row, None where there is no row."""
        found = self.row(query, **values)
        return found[0] if found else None

    def each(self, query: str, /, **values: Any) -> Iterator[dict[str, Any]]:
        """Rows one by one, by the names of their columns, for results too large to hold."""
        with self._connection.cursor(query, binary=True, row_factory=dict_row) as cursor:
            cursor.itersize = _BATCH
            cursor.execute(queries()[query], {"tenant": self._tenant, **values})
            yield from cursor

    def run(self, query: str, /, **values: Any) -> None:
        """Run it for what it does."""
        self._connection.execute(queries()[query], {"tenant": self._tenant, **values})

    def run_many(self, query: str, rows: Sequence[Mapping[str, Any]], /, **values: Any) -> None:
        """Run it for what it does with `rows`, which it gets as one array for each of their names."""
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            self.run(query, **{name: [row[name] for row in batch] for name in batch[0]}, **values)


class Pool:
    """Hands out transactions on one store. Thread-safe, and safe to inherit by a fork."""

    def __init__(self, address: Address, *, busy_timeout: float) -> None:
        self._address = address
        self._busy_timeout = busy_timeout
        tenant, patience = sql.Literal(address.tenant), sql.Literal(f"{round(busy_timeout * 1000)}ms")
        # Several statements at once take no parameters.
        self._begin = {
            name: sql.SQL(queries()[name].decode()).format(tenant=tenant, patience=patience)
            for name in ("begin_read", "begin_write")
        }
        self._closed = False
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self._connections: ConnectionPool[Connection] | None = None  # made when it is first needed
        self._borrowed = 0
        self._changed = Condition(Lock())

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction in which everything sees the store at one moment."""
        with self._transaction("begin_read") as session:
            yield session
            session.run("commit")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction of which all is written, or nothing; writers to one store wait for each other."""
        with self._transaction("begin_write") as session:
            found = session.rows("lock_store")
            if not found:  # nobody has written for this tenant yet
                session.run("add_store")
                found = session.rows("lock_store")
            ((session.last_seq, number, durability),) = found
            if durability == "off":
                session.run("commit_durably")
            yield session
            try:
                session.run("commit")
            except psycopg.OperationalError as error:
                self._see_whether_committed(number, error)

    def _see_whether_committed(self, number: str, error: psycopg.OperationalError) -> None:
        """The connection was lost when the transaction ended: nobody has said whether it was written."""
        committed = was_committed(number, self._address, patience=self._busy_timeout)
        if committed is None:
            raise StoreError(
                f"The connection to the store {self._address.location} was lost while it was written to, and the "
                "server has not said since whether it was.",
                hint="When the server is back, look whether it is there before you write it again.",
                location=self._address.location,
            ) from error
        if not committed:
            raise error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        with self._borrowing() as connections, translated(self._address.location):
            connection = self._begun(connections, self._begin[begin])
            try:
                yield Session(connection, self._address.tenant)
            except BaseException:
                with suppress(psycopg.Error):  # a lost connection has nothing to roll back
                    connection.rollback()
                raise
            finally:
                connections.putconn(connection)

    def _begun(self, connections: ConnectionPool[Connection], begin: sql.Composed) -> Connection:
        """A connection in a transaction. Idle ones that the server has closed are found here, and replaced."""
        while True:
            connection = self._taken(connections)
            try:
                connection.execute(begin)
            except psycopg.OperationalError:
                lost = connection.broken
                connections.putconn(connection)
                if not lost:
                    raise
            except BaseException:
                connections.putconn(connection)
                raise
            else:
                return connection

    def _taken(self, connections: ConnectionPool[Connection]) -> Connection:
        try:
            return connections.getconn()
        except PoolTimeout:
            connect(self._address, self._busy_timeout).close()  # says why, where the server does not answer
            raise

    def vacuum(self) -> None:
        """Take deleted rows out of the tables. It cannot run in a transaction."""
        with self._borrowing() as connections, translated(self._address.location):
            connection = self._taken(connections)
            try:
                connection.execute(queries()["vacuum"])
            finally:
                connections.putconn(connection)

    @contextmanager
    def _borrowing(self) -> Iterator[ConnectionPool[Connection]]:
        with self._changed:
            if self._closed:
                raise StoreError(f"The store {self._address.location} is closed.", hint="Open it again.")
            if self._connections is None:
                self._connections = self._new_connections()
            connections = self._connections
            self._borrowed += 1
        try:
            yield connections
        finally:
            with self._changed:
                self._borrowed -= 1
                self._changed.notify_all()

    def _new_connections(self) -> ConnectionPool[Connection]:
        return ConnectionPool(
            self._address.conninfo,
            connection_class=psycopg.Connection[Row],
            kwargs=options(self._busy_timeout),
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=self._busy_timeout,
            # A client waits no longer than this either, and the next one begins to connect anew.
            reconnect_timeout=self._busy_timeout,
            num_workers=1,
            open=True,
        )

    def close(self) -> None:
        """Wait for the calls under way, then close all connections."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._borrowed == 0)
            connections, self._connections = self._connections, None
        if connections is not None:
            connections.close()

    def after_fork(self) -> None:
        """In the child: leave the parent's connections alone, and begin anew."""
        if self._connections is not None:
            _of_parents.append(self._connections)
        self._start()


_pools: WeakSet[Pool] = WeakSet()
_of_parents: list[ConnectionPool[Connection]] = []
"""Kept, because closing a connection that was inherited would close the parent's."""


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
