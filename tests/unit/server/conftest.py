from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from aspen import Aspen, Config
from aspen.server.app import create_app
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel

BASE = "http://127.0.0.1:8420"

Connect = Callable[..., TestClient]


@pytest.fixture
def aspen(config: Config) -> Iterator[Aspen]:
    with Aspen.open(":memory:", model=FakeModel(say=lambda prompt: "Very well."), config=config) as aspen:
        yield aspen


@pytest.fixture
def connect(aspen: Aspen) -> Iterator[Connect]:
    """Makes a client of a server with settings of its own, over `aspen` or another store."""
    with ExitStack() as open_clients:

        def connect(
            settings: ServerSettings | None = None, *, store: Aspen | None = None, base_url: str = BASE
        ) -> TestClient:
            app = create_app(store or aspen, settings=settings or ServerSettings(), warm=False)
            return open_clients.enter_context(TestClient(app, base_url=base_url, follow_redirects=False))

        yield connect


@pytest.fixture
def client(connect: Connect) -> TestClient:
    return connect()
