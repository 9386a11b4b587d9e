"""A Postgres server for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aspen.testing.postgres_server import PostgresServer


@contextmanager
def local_server() -> Iterator[str]:
    """The URL of a database on a server of its own, which is gone afterwards; `?tenant=name` chooses a store in it."""
    with PostgresServer() as server:
        yield server.url()
