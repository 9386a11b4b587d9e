"""What tests of several folders share: one Postgres server, started when a test first asks for it."""

from collections.abc import Iterator

import pytest

from aspen.errors import MissingDependency
from aspen.testing.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except MissingDependency as error:
        pytest.skip(str(error))
    with server:
        yield server
