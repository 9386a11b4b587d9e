"""Both stores under the shipped contract, and SQLite against the plain store step by step."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from aspen.repository import InMemoryRepository, Repository, SQLiteRepository
from aspen.testing.repository_builders import OpenStore
from aspen.testing.repository_machine import repository_machine
from aspen.testing.repository_suite import RepositoryContract


class TestInMemoryRepository(RepositoryContract):
    durable = False

    @pytest.fixture
    def open_store(self) -> OpenStore:
        return InMemoryRepository


class TestSQLiteRepository(RepositoryContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: SQLiteRepository(tmp_path / "store.db")


class _TemporaryStore(SQLiteRepository):
    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        super().__init__(Path(self._folder.name) / "store.db")

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def open_temporary() -> Repository:
    return _TemporaryStore()


TestSQLiteMachine = repository_machine(open_temporary).TestCase
TestSQLiteMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
