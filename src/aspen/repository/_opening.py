"""The one place that reads a location and chooses the store."""

from __future__ import annotations

import re
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.repository._memory import InMemoryRepository
from aspen.repository._sqlite import SQLiteRepository
from aspen.repository.interface import Repository

IN_MEMORY = ":memory:"


def open_repository(location: str | Path, *, busy_timeout: float = 10.0) -> Repository:
    """Open the store at `location`, creating the file where there is none.

    Parameters
    ----------
    location:
        The path of a file ("~" is the home folder), or ":memory:" for a store that is gone when it is closed.
    busy_timeout:
        Seconds to wait for another process that holds the store, > 0; after that, StoreBusy.
    """
    text = str(location)
    if text == IN_MEMORY:
        return InMemoryRepository()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        scheme = text.partition("://")[0]
        raise InvalidInput(
            f"A store at {scheme}:// is not supported by this version of Aspen.",
            hint="Give the path of a file, or ':memory:'.",
            scheme=scheme,
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"The store's path {text!r} cannot be resolved: {error}") from error
    return SQLiteRepository(path, busy_timeout=busy_timeout)
