"""Turns the driver's errors into Aspen's, at the boundary: no `psycopg.Error` leaves this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from aspen.errors import StoreBusy, StoreError, StoreNotWritable

_BUSY = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.QueryCanceled,
    errors.TooManyConnections,
    PoolTimeout,
)
_FORBIDDEN = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)
_SERVER_GONE = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Raise Aspen's error in place of the driver's, with the driver's as its cause."""
    try:
        yield
    except psycopg.Error as error:
        raise translation(error, location) from error


def translation(error: psycopg.Error, location: str) -> StoreError:
    """Aspen's error for one of the driver's."""
    cause = " ".join(str(error).split())
    kind: type[StoreError] = StoreError
    match error:
        case _ if isinstance(error, _BUSY):
            kind = StoreBusy
            message = f"Others held the store {location} for too long ({cause})."
            hint = "Try again; if it stays so, look for a process that hangs."
        case _ if isinstance(error, _FORBIDDEN):
            return not_writable(location, cause=cause, sqlstate=error.sqlstate)
        case errors.DiskFull():
            kind = StoreNotWritable
            message = f"The disk of the store {location} is full ({cause}); nothing was written."
            hint = "Free some space on the server and try again."
        case _ if isinstance(error, _DAMAGED):
            message = f"The store {location} is damaged ({cause})."
            hint = "Put it back from a backup."
        case _ if isinstance(error, _MISSING):
            message = f"The store {location} lacks a table or column ({cause})."
            hint = "Put the schema aspen back from a backup."
        case _ if isinstance(error, _SERVER_GONE) or (
            isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        ):
            message = f"There is no connection to the store {location} ({cause})."
            hint = "See that the server runs and lets you in, then try again."
        case _:
            message = f"The store {location} cannot be used ({cause})."
            hint = ""
    return kind(message, hint=hint, location=location, cause=cause, sqlstate=error.sqlstate)


def not_writable(location: str, **facts: object) -> StoreNotWritable:
    """The error for a role that may not write, or a server that only reads."""
    return StoreNotWritable(
        f"The store {location} cannot be written.",
        hint="Connect to the primary server, as a role with the rights SELECT, INSERT, UPDATE and DELETE on all tables "
        "in the schema aspen, and USAGE on the schema.",
        location=location,
        **facts,
    )
