from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.front_door import WHAT, WHERE, facts, related
from tests.unit.server.test_memories_api import remember

from aspen import Aspen
from aspen.memory_graph import PRESETS, preset_settings
from aspen.server.api.recall import Spreading
from aspen.server.room import Room
from aspen.types import MemoryType, Recall


def test_a_recall_is_that_of_the_front_door(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    told = client.post("/api/v1/recall", json={"prompt": WHERE, "limit": 3}).json()
    found = aspen.recall(WHERE, limit=3)
    assert [hit["memory"]["id"] for hit in told["hits"]] == [hit.memory.id for hit in found.hits]
    assert told["hits"][0]["arms"] == pytest.approx(dict(found.hits[0].arms), rel=1e-3)
    assert told["candidates"] == 5
    assert told["partial_pass"]["n_layers"] == 3


def test_what_was_searched_is_counted_behind_the_filters(client: TestClient) -> None:
    remember(client, "A fox.", said_at="2020-01-01T00:00:00Z", tags=["animal"])
    remember(client, "A wolf.", said_at="2022-01-01T00:00:00Z", speaker="Ann")
    remember(client, "A stone.", type="belief")
    for filters, searched in (
        ({}, 3),
        ({"until": "2021-01-01T00:00:00Z"}, 1),
        ({"since": "2020-01-01T00:00:00Z"}, 2),
        ({"tags": ["animal"], "types": ["belief"]}, 0),
        ({"speaker": "Ann"}, 1),
        ({"types": ["belief"]}, 1),
    ):
        told = client.post("/api/v1/recall", json={"prompt": "A fox", **filters}).json()
        assert (told["candidates"], len(told["hits"])) == (searched, searched), filters


def test_filters_and_presets_are_handed_on(client: TestClient, aspen: Aspen) -> None:
    related(aspen)

    def types(**more: Any) -> set[str]:
        answer = client.post("/api/v1/recall", json={"prompt": WHAT, **more})
        assert answer.status_code == 200, answer.text
        return {hit["memory"]["type"] for hit in answer.json()["hits"]}

    assert types(types=["semantic"]) == {"semantic"}
    assert types(until="2020-01-01T00:00:00Z") == set()
    assert types(arms=["keyword"], preset="factual") != set()
    for refused in ({"preset": "nothing"}, {"arms": ["nothing"]}, {"types": ["nothing"]}, {"since": "noon"}):
        assert client.post("/api/v1/recall", json={"prompt": WHAT, **refused}).status_code == 422
    assert client.post("/api/v1/recall", json={"prompt": WHAT, "conversation": "none"}).status_code == 404


def test_spreading_settings_change_a_preset_and_leave_the_rest_of_it() -> None:
    given = Spreading(max_hops=3, type_boost={MemoryType.SELF: 2.0})
    changed = given.changing("factual")
    preset = preset_settings("factual")
    assert (changed.max_hops, changed.type_boost) == (3, {"self": 2.0})
    assert (changed.decay, changed.min_weight, changed.relation_types) == (
        preset.decay,
        preset.min_weight,
        preset.relation_types,
    )


def test_spreading_changes_the_preset_that_is_asked_for(client: TestClient, aspen: Aspen) -> None:
    related(aspen)
    told = client.get("/api/v1/presets").json()["items"]
    assert [preset["name"] for preset in told] == list(PRESETS)
    assert all(preset["when"] for preset in told)
    asked = {"prompt": WHAT, "preset": "character", "explain": True}
    (preset,) = (one["settings"] for one in told if one["name"] == "character")
    same = {"max_hops": preset["max_hops"], "decay": preset["decay"], "type_boost": preset["type_boost"]}
    as_it_is, repeated, still = (
        {
            hit["memory"]["id"]: (pytest.approx(hit["activation"], abs=1e-3), hit["type_boost"])
            for hit in client.post("/api/v1/recall", json={**asked, **more}).json()["hits"]
        }
        for more in ({}, {"spreading": same}, {"spreading": {"max_hops": 0}})
    )
    assert as_it_is == repeated
    assert as_it_is != still


def test_activation_spreads_from_seeds(client: TestClient, aspen: Aspen) -> None:
    ids = related(aspen)
    told = client.post("/api/v1/spread", json={"seeds": {ids["spring"]: 1.0}, "frames": True}).json()
    found = aspen.spread_activation({ids["spring"]: 1.0}, frames=True)
    assert [one["memory"]["id"] for one in told["memories"]] == [one.memory.id for one in found.memories]
    assert told["frames"] == [pytest.approx(dict(frame)) for frame in found.frames]
    assert client.post("/api/v1/spread", json={"seeds": {"m_0": 1.0}}).status_code == 404
    assert client.post("/api/v1/spread", json={"seeds": {}}).status_code == 422


def test_slow_recalls_are_noticed_without_what_was_asked(aspen: Aspen) -> None:
    room = Room(aspen, settings=None, warm=False)  # type: ignore[arg-type]  # of no matter here

    def recall(seconds: float) -> Recall:
        return Recall("a secret", (), 0.0, 7, (), None, seconds)

    room.note(recall(0.2))
    for number in range(12):
        room.note(recall(1.0 + number))
    assert [slow.seconds for slow in room.slow_recalls] == [12.0 - number for number in range(10)]
    assert "secret" not in repr(room.slow_recalls)
