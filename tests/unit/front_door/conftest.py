from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.front_door import Open

from aspen import Aspen, Config
from aspen.testing.fake_model import FakeModel


@pytest.fixture(params=["memory", "file"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "store.db")


@pytest.fixture
def open_aspen(config: Config) -> Iterator[Open]:
    opened: list[Aspen] = []

    def open_aspen(location: str | Path, *, model: FakeModel | None = None) -> Aspen:
        opened.append(Aspen.open(location, model=model or FakeModel(), config=config))
        return opened[-1]

    yield open_aspen
    for aspen in opened:
        aspen.close()


@pytest.fixture
def aspen(open_aspen: Open, location: str) -> Aspen:
    return open_aspen(location)
