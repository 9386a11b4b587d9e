"""Connections: how they are set up, and what became of a transaction whose connection was lost while it ended."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg

from aspen.repository._postgres._address import Address
from aspen.repository._postgres._statements import queries
from aspen.repository._rows import Row

Connection = psycopg.Connection[Row]

_PAUSE = 0.1
"""Seconds between two questions to a server that does not know yet."""


def connect(address: Address, busy_timeout: float) -> Connection:
    """A connection outside the pool."""
    return psycopg.Connection[Row].connect(address.conninfo, **options(busy_timeout))


def options(busy_timeout: float) -> dict[str, Any]:
    """What every connection is opened with, where the URL says nothing else."""
    return {
        "autocommit": True,  # transactions begin and end by named statements
        "client_encoding": "utf8",
        "fallback_application_name": "aspen",
        "connect_timeout": max(2, round(busy_timeout)),  # seconds; libpq takes 2 at least
    }


def was_committed(transaction: str, address: Address, *, patience: float) -> bool | None:
    """Whether a transaction was committed, by its number; None where the server does not tell within `patience`."""
    deadline = time.monotonic() + patience
    while True:
        status = _status(transaction, address, patience)
        if status in ("committed", "aborted"):
            return status == "committed"
        if time.monotonic() > deadline:
            return None
        time.sleep(_PAUSE)


def _status(transaction: str, address: Address, patience: float) -> str | None:
    try:
        with closing(connect(address, patience)) as connection:
            found = connection.execute(queries()["transaction_status"], {"number": transaction}).fetchone()
    except psycopg.OperationalError:  # the server is starting again, or gone
        return None
    return found[0] if found else None
