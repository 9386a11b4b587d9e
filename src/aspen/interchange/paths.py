"""Checks on the path of a file to read or write, made before it is opened."""

from __future__ import annotations

from pathlib import Path

from aspen.aspen import Aspen
from aspen.errors import InvalidInput


def checked_path(aspen: Aspen, given: str | Path) -> Path:
    """The path, "~" expanded. InvalidInput where it can be none, or is the store itself.

    The store's files may not even be opened to look: closing a descriptor of a file drops the locks that SQLite
    holds on it for this process.
    """
    if "\0" in str(given):
        raise InvalidInput("A path cannot have a NUL character.", path=str(given))
    store = Path(aspen.repository.location)
    own = [store, *(store.with_name(store.name + suffix) for suffix in ("-wal", "-shm"))]
    try:
        path = Path(given).expanduser()
        is_own = path.exists() and any(file.exists() and path.samefile(file) for file in own)
    except (OSError, RuntimeError) as error:  # a name that is too long; a home folder of nobody
        raise InvalidInput(f"{given} cannot be used as a path: {error}.", path=str(given)) from error
    if is_own:
        raise InvalidInput(
            f"{path} is the store itself.", hint="Give the path of another file.", path=str(path)
        )
    return path
