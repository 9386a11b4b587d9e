from __future__ import annotations

from pathlib import Path

import pytest
from tests.builders import open_engine
from tests.searching import Start

from aspen.engine import Engine
from aspen.repository import InMemoryRepository, Repository
from aspen.testing.fake_model import FakeModel


@pytest.fixture
def start(cache_dir: Path) -> Start:
    """Another process on the same store, in all that matters to a search."""

    def start(repository: Repository, *, seed: int = 0) -> Engine:
        return open_engine(repository, cache_dir=cache_dir, model=FakeModel(seed=seed))

    return start


@pytest.fixture
def engine(start: Start) -> Engine:
    return start(InMemoryRepository())
