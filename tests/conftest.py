"""What tests of several folders share: one Postgres server, started when a test first asks for it."""

from collections.abc import Callable, Iterator

import pytest

from aspen.errors import MissingDependency
from aspen.repository import open_repository
from aspen.testing.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except MissingDependency as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_owner(postgres_server: PostgresServer) -> str:
    """A role that row-level security holds back, as it does no superuser."""
    return postgres_server.new_role()


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer, postgres_owner: str) -> str:
    """A database for many stores, whose tables belong to that role."""
    name = postgres_server.new_database(owner=postgres_owner)
    open_repository(
        postgres_server.url(name, role=postgres_owner)
    ).close()  # who opens it first owns the tables
    return name


@pytest.fixture(scope="session")
def new_postgres_url(
    postgres_server: PostgresServer, postgres_database: str, postgres_owner: str
) -> Callable[..., str]:
    """Where a store that is empty yet can be opened, as a role: a tenant of its own beside all the others."""

    def new_url(role: str = postgres_owner) -> str:
        return postgres_server.url(postgres_database, role=role, tenant=postgres_server.new_name("tenant"))

    return new_url
