"""Postgres under the shipped contract, and against the plain store step by step, on a real server.

All stores lie in one database, each as a tenant of its own, beside a neighbour that has the same ids and words.
"""

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import OpenStore
from aspen.testing.repository_machine import repository_machine
from aspen.testing.repository_suite import RepositoryContract

OWNER = "owner"


@pytest.fixture(scope="session")
def database(postgres_server: PostgresServer) -> str:
    """A database whose tables belong to a role that row-level security holds back."""
    name = postgres_server.new_name("contract")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN")
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    return name


class TestPostgresRepository(RepositoryContract):
    @pytest.fixture
    def open_store(self, postgres_server: PostgresServer, database: str) -> OpenStore:
        tenant = postgres_server.new_name("tenant")
        url = f"{postgres_server.url(database, role=OWNER)}&tenant={tenant}"
        return lambda: PostgresRepository(url)


def test_postgres_agrees_with_the_plain_store(postgres_server: PostgresServer, database: str) -> None:
    """As a superuser, whom row-level security lets through."""

    def open_new() -> PostgresRepository:
        return PostgresRepository(
            f"{postgres_server.url(database)}&tenant={postgres_server.new_name('tenant')}"
        )

    run_state_machine_as_test(
        repository_machine(open_new),
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
