from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.front_door import facts, related

from aspen import Aspen
from aspen.types import MemoryType

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "x" * 100_000,
    "\u202egnp.exe",
    "🦊 \u2028 é",
]


def remember(client: TestClient, *texts: str, **more: Any) -> list[dict[str, Any]]:
    answer = client.post("/api/v1/memories", json={"items": [{"text": text, **more} for text in texts]})
    assert answer.status_code == 201, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_what_is_remembered_comes_back_with_all_that_is_known_of_it(client: TestClient) -> None:
    (made,) = remember(
        client,
        "Mara moved to Lisbon.",
        speaker="Ann",
        said_at="2026-05-02T18:30:00+02:00",
        conversation="family",
        type="belief",
        stability="stable",
        importance=1,
        emotion={"label": "joy", "intensity": 0.5},
        tags=["b", "a"],
    )
    assert made["said_at"] == "2026-05-02T16:30:00Z"
    assert (made["type"], made["stability"], made["tags"]) == ("belief", "stable", ["a", "b"])
    assert made["emotion"] == {"label": "joy", "intensity": 0.5}
    assert 0 < made["priority"] <= 1
    assert made["corrected_by"] is None
    assert client.get(f"/api/v1/memories/{made['id']}").json()["text"] == "Mara moved to Lisbon."


def test_a_list_with_one_bad_item_stores_nothing(client: TestClient, aspen: Aspen) -> None:
    items = [{"text": "good"}, {"text": "bad \u0007"}]
    answer = client.post("/api/v1/memories", json={"items": items})
    assert answer.status_code == 422
    assert answer.json()["details"]["position"] == 1
    assert aspen.repository.stats().memories == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_data(client: TestClient, text: str) -> None:
    (made,) = remember(client, text)
    answer = client.get(f"/api/v1/memories/{made['id']}")
    assert answer.json()["text"] == text
    assert answer.headers["content-type"] == "application/json"


def test_forgetting_says_what_went(client: TestClient) -> None:
    first, second = remember(client, "One.", "Two.")
    gone = client.delete(f"/api/v1/memories/{first['id']}").json()
    assert gone == {"forgotten": {"memories": 1, "traces": 0}}
    answer = client.post("/api/v1/memories/forget", json={"ids": [second["id"], first["id"]]})
    assert (answer.status_code, answer.json()["details"]["id"]) == (404, first["id"])
    assert client.get(f"/api/v1/memories/{second['id']}").status_code == 200


def test_forgetting_counts_the_traces_and_patterns_that_go_along(client: TestClient, aspen: Aspen) -> None:
    reply = aspen.chat("Where is Mara?")
    gone = client.delete(f"/api/v1/memories/{reply.memories[0].id}").json()["forgotten"]
    assert gone == {"memories": 1, "traces": 1}


def test_a_correction_takes_the_place_of_a_memory(client: TestClient) -> None:
    (old,) = remember(client, "Mara lives in Lisbon.")
    answer = client.post(f"/api/v1/memories/{old['id']}/correct", json={"text": "Mara lives in Porto."})
    assert answer.status_code == 201
    new = answer.json()
    assert client.get(f"/api/v1/memories/{old['id']}").json()["corrected_by"] == new["id"]
    for one in (old, new):
        versions = client.get(f"/api/v1/memories/{one['id']}/history").json()["items"]
        assert [version["id"] for version in versions] == [old["id"], new["id"]]
    again = client.post(f"/api/v1/memories/{old['id']}/correct", json={"text": "Mara lives in Faro."})
    assert (again.status_code, again.json()["details"]["corrected_by"]) == (409, new["id"])
    assert again.json()["error"] == "AlreadyCorrected"


def test_relations_tell_the_other_end(client: TestClient, aspen: Aspen) -> None:
    ids = related(aspen)
    found = client.get(f"/api/v1/memories/{ids['pattern']}/relations").json()["items"]
    assert [(one["source"], one["other"], one["type"]) for one in found] == [
        (ids["pattern"], ids["belief"], "supports"),
        (ids["spring"], ids["spring"], "example_of"),
    ]
    assert found[0]["other_text"] == "Xylophones jinx kvass."
    assert found[1]["other_type"] == MemoryType.EPISODIC


def test_relations_are_made_and_removed(client: TestClient, aspen: Aspen) -> None:
    first, second = (memory.id for memory in facts(aspen)[:2])
    made = {"source": first, "target": second, "type": "supports", "weight": 0.5}
    answer = client.post("/api/v1/relations", json={"items": [made]})
    assert answer.status_code == 201
    assert answer.json()["items"] == [{**made, "provenance": "said"}]
    place = {"source": first, "target": second, "type": "supports"}
    assert client.delete("/api/v1/relations", params=place).json() == {"removed": True}
    assert client.delete("/api/v1/relations", params=place).json() == {"removed": False}
    assert client.post("/api/v1/relations", json={"items": [{**made, "target": first}]}).status_code == 422
    assert client.post("/api/v1/relations", json={"items": [{**made, "target": "m_0"}]}).status_code == 404
    assert client.post("/api/v1/relations", json={"items": [{**made, "type": "loves"}]}).status_code == 422


def test_links_that_grew_by_use_are_told_heaviest_first(client: TestClient, aspen: Aspen) -> None:
    one, two, three = facts(aspen)[:3]
    aspen.reinforce([one.id, two.id])
    for _ in range(3):
        aspen.reinforce([two.id, three.id])
    links = client.get("/api/v1/coactivation").json()["items"]
    weights = [link["weight"] for link in links]
    assert weights == sorted(weights, reverse=True)
    assert {links[0]["source_text"], links[0]["target_text"]} == {two.text, three.text}
    assert links[0]["uses"] == 3
    assert len(client.get("/api/v1/coactivation", params={"limit": 1}).json()["items"]) == 1


def test_the_graph_around_a_memory(client: TestClient, aspen: Aspen) -> None:
    ids = related(aspen)

    def around(center: str, **more: int) -> Any:
        return client.get("/api/v1/graph", params={"center": ids[center], **more}).json()

    near = around("spring", hops=1)
    assert {node["id"] for node in near["nodes"]} == {ids["spring"], ids["pattern"]}
    assert near["edges"] == [
        {"source": ids["spring"], "target": ids["pattern"], "type": "example_of", "weight": 0.9}
    ]
    assert {node["id"]: node["degree"] for node in near["nodes"]} == {ids["spring"]: 1, ids["pattern"]: 2}
    far = around("spring", hops=2)
    assert {node["id"] for node in far["nodes"]} == {ids["spring"], ids["pattern"], ids["belief"]}
    assert not far["truncated"]
    cut = around("pattern", limit=2)
    assert {node["id"] for node in cut["nodes"]} == {ids["pattern"], ids["spring"]}  # by the heavier relation
    assert cut["truncated"]
    assert client.get("/api/v1/graph", params={"center": "m_0"}).status_code == 404


def test_a_long_text_is_cut_in_the_graph(client: TestClient) -> None:
    (made,) = remember(client, "y" * 161)
    (node,) = client.get("/api/v1/graph", params={"center": made["id"]}).json()["nodes"]
    assert node["text"] == "y" * 159 + "…"


def test_times_are_told_with_their_zone(client: TestClient) -> None:
    (made,) = remember(client, "Now.", said_at="2026-05-02T18:30:00")
    assert datetime.fromisoformat(made["created_at"]).tzinfo == UTC
    assert made["said_at"] == "2026-05-02T18:30:00Z"
    bad = {"items": [{"text": "Now.", "said_at": 1_700_000_000}]}
    assert client.post("/api/v1/memories", json=bad).status_code == 422
