"""Turns the driver's errors into Aspen's, at the boundary: no `apsw.Error` leaves this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from aspen.errors import StoreBusy, StoreError, StoreNotWritable, StoreVersionError

_WRITE_FAILED = frozenset(
    {
        apsw.SQLITE_IOERR_WRITE,
        apsw.SQLITE_IOERR_FSYNC,
        apsw.SQLITE_IOERR_DIR_FSYNC,
        apsw.SQLITE_IOERR_TRUNCATE,
        apsw.SQLITE_IOERR_SHMSIZE,
        apsw.SQLITE_IOERR_SHMOPEN,
    }
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise Aspen's error in place of the driver's, with the driver's as its cause."""
    try:
        yield
    except apsw.Error as error:
        raise translation(error, path) from error


def translation(error: apsw.Error, path: Path) -> StoreError:
    """Aspen's error for one of the driver's."""
    code: int | None = getattr(error, "extendedresult", None)
    kind: type[StoreError]
    match error:
        case apsw.BusyError() | apsw.LockedError():
            kind = StoreBusy
            message = f"Another process held the store {path} for too long."
            hint = "Try again; if it stays so, look for a process that hangs."
        case apsw.FullError():
            kind = StoreNotWritable
            message = f"The disk of the store {path} is full; nothing was written."
            hint = "Free some space and try again."
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.CantOpenError():
            return not_writable(path, cause=str(error), code=code)
        case apsw.IOError() if code in _WRITE_FAILED:
            kind = StoreNotWritable
            message = f"The store {path} could not be written to its disk ({error}); nothing was written."
            hint = (
                "Look at the free space, the limit on file sizes and the health of the disk, then try again."
            )
        case apsw.NotADBError():
            kind = StoreVersionError
            message = f"The file {path} is not an Aspen store."
            hint = "Choose another path."
        case apsw.CorruptError():
            kind = StoreError
            message = f"The store {path} is damaged ({error})."
            hint = "Put it back from a backup."
        case _:
            kind = StoreError
            message = f"The store {path} cannot be used ({error})."
            hint = ""
    return kind(message, hint=hint, path=str(path), cause=str(error), code=code)


def not_writable(path: Path, **facts: object) -> StoreNotWritable:
    """The error for a read-only file or folder."""
    return StoreNotWritable(
        f"The store {path} cannot be written.",
        hint="Make the file and its folder writable for you, or choose another path.",
        path=str(path),
        **facts,
    )
