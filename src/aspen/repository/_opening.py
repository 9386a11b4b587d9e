"""The one place that reads a location and chooses the store."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from aspen.config import is_url
from aspen.errors import InvalidInput, MissingDependency
from aspen.repository._in_memory import InMemoryRepository
from aspen.repository._sqlite import SQLiteRepository
from aspen.repository.interface import Repository

IN_MEMORY = ":memory:"
_POSTGRES = re.compile(r"postgres(?:ql)?:/", re.IGNORECASE)
_INSTALL = "pip install 'aspen-memory[postgres]'"
_LONGEST_SUFFIX = "-journal"
"""Of the names that SQLite gives to files beside the store."""


def open_repository(location: str | Path, *, busy_timeout: float = 10.0) -> Repository:
    """Open the store at `location`, creating it where there is none.

    Parameters
    ----------
    location:
        The path of a file ("~" is the home folder), "postgresql://user:password@host/database?tenant=name" for the
        store of a tenant in a database ("default" where none is named), or ":memory:" for a store that is gone when
        it is closed.
    busy_timeout:
        Seconds to wait for another process that holds the store, > 0; after that, StoreBusy.
    """
    text = str(location)
    if text == IN_MEMORY:
        return InMemoryRepository()
    if _POSTGRES.match(text):
        return _open_postgres(location, busy_timeout=busy_timeout)
    if is_url(text):
        scheme = text.partition("://")[0]
        raise InvalidInput(
            f"A store at {scheme}:// is not supported by this version of Aspen.",
            hint="Give the path of a file, a postgresql:// URL, or ':memory:'.",
            scheme=scheme,
        )
    return SQLiteRepository(_checked(text), busy_timeout=busy_timeout)


def _open_postgres(url: str | Path, *, busy_timeout: float) -> Repository:
    # Messages do not repeat the URL, which may hold a password.
    if not isinstance(url, str):
        raise InvalidInput(
            "The URL of a Postgres database was given as a path, which folds its slashes.",
            hint="Give it as a string.",
        )
    try:
        from aspen.repository._postgres import PostgresRepository  # noqa: PLC0415 - an extra
    except ImportError as error:  # psycopg is there without libpq, too
        if (error.name or "psycopg").partition(".")[0] not in ("psycopg", "psycopg_pool"):
            raise
        raise MissingDependency(
            "A store in a Postgres database needs the package psycopg, which is not installed.",
            hint=f"Install it with: {_INSTALL}",
            package="psycopg",
        ) from error
    return PostgresRepository(url, busy_timeout=busy_timeout)


def _checked(text: str) -> Path:
    """The path, "~" expanded; InvalidInput where no store can be."""
    try:
        text.encode()  # SQLite takes names in UTF-8
        path = Path(text).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            Path(f"{path}{_LONGEST_SUFFIX}").lstat()
    except (OSError, RuntimeError, ValueError) as error:  # too long; the home of nobody; NUL or a surrogate
        raise InvalidInput(
            f"{text!r} cannot be used as the path of a store: {error}.", hint="Give another path.", path=text
        ) from error
    return path
