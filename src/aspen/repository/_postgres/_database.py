"""The schema in a database: finding out what is there, creating and migrating it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import psycopg

from aspen.errors import StoreBusy, StoreError, StoreVersionError
from aspen.repository._postgres._address import Address
from aspen.repository._postgres._connecting import Connection, connect
from aspen.repository._postgres._errors import not_writable, translated
from aspen.repository._postgres._statements import migrations, queries, table_names
from aspen.repository._rows import Row

OLDEST_SERVER = 15
"""Of Postgres: foreign keys that set one of their columns to NULL."""


@dataclass(frozen=True, slots=True)
class _Found:
    version: int
    tables: frozenset[str]


def prepare(address: Address, busy_timeout: float) -> bool:
    """Create or migrate the schema where that is needed; returns whether the store can be written."""
    with translated(address.location), closing(connect(address, busy_timeout)) as connection:
        read_only = _check_server(connection, address)
        found = _look(connection, address)
        if found.version < len(migrations()):
            if read_only:
                raise not_writable(address.location, version=found.version)
            _migrate(connection, address, busy_timeout)
            found = _look(connection, address)
        missing = table_names() - found.tables
        if missing:
            raise StoreError(
                f"The store {address.location} lacks the table {', '.join(sorted(missing))}.",
                hint="Put the schema aspen back from a backup.",
                location=address.location,
                missing=sorted(missing),
            )
        (allowed,) = _row(connection, "may_write", tables=sorted(table_names() - {"migration"}))
        return bool(allowed) and not read_only


def _check_server(connection: Connection, address: Address) -> bool:
    """Refuse a server that cannot keep a store; returns whether it can only be read."""
    number, version, encoding, read_only = _row(connection, "server")
    if number < OLDEST_SERVER * 10_000:
        raise StoreVersionError(
            f"The server of {address.location} is Postgres {version}, Aspen needs {OLDEST_SERVER} or newer.",
            hint="Choose another server.",
            location=address.location,
            version=version,
        )
    if encoding != "UTF8":
        raise StoreError(
            f"The database of {address.location} has the encoding {encoding}, Aspen needs UTF8.",
            hint="Create one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            location=address.location,
            encoding=encoding,
        )
    return bool(read_only)


def _look(connection: Connection, address: Address) -> _Found:
    """What the schema holds; refuses one that is not Aspen's, or of a version that is not known."""
    tables = frozenset(name for (name,) in _rows(connection, "tables"))
    if not tables:
        return _Found(0, tables)
    if "migration" not in tables:
        raise StoreVersionError(
            f"The schema aspen at {address.location} belongs to another application.",
            hint="Choose another database.",
            location=address.location,
        )
    (version,) = _row(connection, "version")
    if version > len(migrations()):
        raise StoreVersionError(
            f"The store {address.location} has version {version}, this Aspen knows up to {len(migrations())}.",
            hint="Upgrade aspen.",
            location=address.location,
            version=version,
            known=len(migrations()),
        )
    return _Found(version, tables)


def _migrate(connection: Connection, address: Address, busy_timeout: float) -> None:
    """All in one transaction, under a lock that other processes which open the database wait for."""
    with connection.transaction():
        connection.execute(queries()["wait_at_most"], {"patience": f"{round(busy_timeout * 1000)}ms"})
        try:
            connection.execute(queries()["lock_schema"])
        except psycopg.errors.LockNotAvailable as error:
            raise StoreBusy(
                f"Another process has been creating the store {address.location} for {busy_timeout:g} s.",
                hint="Try again; if it stays so, look for a process that hangs.",
                location=address.location,
            ) from error
        version = _look(connection, address).version  # another process may have done it meanwhile
        (exists,) = _row(connection, "schema_exists")
        if not exists:
            connection.execute(queries()["create_schema"])
        for number, script in enumerate(migrations()[version:], start=version + 1):
            connection.execute(script.encode())
            connection.execute(queries()["add_migration"], {"number": number})


def _rows(connection: Connection, query: str, **values: object) -> list[Row]:
    return connection.execute(queries()[query], values).fetchall()


def _row(connection: Connection, query: str, **values: object) -> Row:
    return _rows(connection, query, **values)[0]
