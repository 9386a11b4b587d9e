from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient
from tests.front_door import facts

from aspen import Aspen, Config, __version__
from aspen.server.app import create_api
from aspen.server.room import Room
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray


def test_health_tells_sizes_and_does_not_wait_for_the_model(client: TestClient, aspen: Aspen) -> None:
    told = client.get("/api/v1/health").json()
    assert (told["version"], told["model"]["state"], told["keys"]) == (__version__, "unloaded", None)
    assert told["index"]["arms"] is None
    assert told["store"]["location"] == ":memory:"
    facts(aspen)
    told = client.get("/api/v1/health").json()
    assert (told["store"]["memories"], told["store"]["conversations"], told["store"]["writable"]) == (
        5,
        1,
        True,
    )
    assert told["keys"]["model_name"] == "fake-0"
    assert told["index"]["memories"] == 5
    assert told["jobs"] == {}


def test_sizes_are_counted_again_only_where_the_store_changed(aspen: Aspen) -> None:
    room = Room(aspen, settings=ServerSettings(), warm=False)
    first = room.stats()
    assert room.stats() is first
    facts(aspen)
    assert room.stats().memories == 5


def test_the_model_is_loaded_at_the_start_or_says_why_not(aspen: Aspen, tmp_path: Path) -> None:
    room = Room(aspen, settings=ServerSettings(), warm=True)
    room.load_model()
    assert (room.model_state, room.model_problem) == ("ready", None)

    missing = Config(cache_dir=aspen.config.cache_dir, store=":memory:", model=str(tmp_path / "none"))
    with Aspen.open(":memory:", config=missing) as other:
        room = Room(other, settings=ServerSettings(), warm=True)
        room.load_model()
    assert room.model_state == "failed"
    assert room.model_problem is not None
    assert room.model_problem["error"] == "ModelNotFound"


def test_once_loaded_the_model_says_what_it_is(aspen: Aspen) -> None:
    app = create_api(aspen, settings=ServerSettings(), warm=False)
    app.state.room.load_model()
    with TestClient(app) as client:
        told = client.get("/api/v1/health").json()
    model = told["model"]
    assert (model["state"], model["name"], model["layers"], model["device"]) == ("ready", "fake-0", 3, "cpu")
    assert told["index"]["arms"][:3] == ["activation", "keyword", "heads"]
    assert "vector" not in told["index"]["arms"]


class _Lengths:
    """An embedder: a text as its length."""

    name = "lengths-1"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_an_embedder_that_was_given_is_told_of(aspen: Aspen) -> None:
    with Aspen.open(":memory:", model=FakeModel(), config=aspen.config, embedder=_Lengths()) as other:
        app = create_api(other, settings=ServerSettings(), warm=False)
        app.state.room.load_model()
        with TestClient(app) as client:
            assert "vector" in client.get("/api/v1/health").json()["index"]["arms"]
