"""What tests of several folders share: one Postgres server, started when a test first asks for it."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from aspen.errors import MissingDependency
from aspen.repository import open_repository
from aspen.testing.postgres_server import PostgresServer

OWNER = "owner"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except MissingDependency as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> str:
    """A database for many stores, of a role that row-level security holds back as it does no superuser."""
    name = postgres_server.new_name("shared")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN")
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    open_repository(postgres_server.url(name, role=OWNER)).close()  # who opens it first owns the tables
    return name


@pytest.fixture(scope="session")
def new_postgres_url(postgres_server: PostgresServer, postgres_database: str) -> Callable[[str], str]:
    """Where a store that is empty yet can be opened, as a role: a tenant of its own beside all the others."""

    def new_url(role: str = OWNER) -> str:
        return postgres_server.url(postgres_database, role=role, tenant=postgres_server.new_name("tenant"))

    return new_url
