"""Postgres under the shipped contract, and against the plain store step by step, on a real server.

All stores lie in one database, each as a tenant of its own, beside others that have the same ids and words.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from aspen.repository import Repository, open_repository
from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import SUPERUSER
from aspen.testing.repository_builders import OpenStore
from aspen.testing.repository_machine import repository_machine
from aspen.testing.repository_suite import RepositoryContract


class TestPostgresRepository(RepositoryContract):
    """As a role that row-level security holds back."""

    @pytest.fixture
    def open_store(self, new_postgres_url: Callable[..., str]) -> OpenStore:
        url = new_postgres_url()
        return lambda: PostgresRepository(url)


@pytest.mark.slow
def test_postgres_agrees_with_the_plain_store(new_postgres_url: Callable[..., str]) -> None:
    """As a superuser, whom row-level security lets through."""

    def open_new() -> Repository:
        return open_repository(new_postgres_url(SUPERUSER))

    run_state_machine_as_test(
        repository_machine(open_new),
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
