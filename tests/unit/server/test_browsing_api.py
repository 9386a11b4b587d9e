"""Pages, edits with versions, merging and undoing."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.front_door import WHERE, facts, related
from tests.unit.server.test_memories_api import remember

from aspen import Aspen


def page(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/memories", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_pages_follow_each_other(client: TestClient, aspen: Aspen) -> None:
    made = facts(aspen)
    first = page(client, limit=2)
    assert first["total"] == 5
    second = page(client, limit=2, cursor=first["next"])
    third = page(client, limit=2, cursor=second["next"])
    assert third["next"] is None
    ids = [item["id"] for one in (first, second, third) for item in one["items"]]
    assert ids == [memory.id for memory in reversed(made)]
    assert client.get("/api/v1/memories", params={"cursor": "x"}).status_code == 422


def test_memories_are_filtered_and_sorted(client: TestClient, aspen: Aspen) -> None:
    remember(client, "A fox.", type="belief", tags=["animal"], speaker="Ann", importance=1)
    remember(client, "A stone.", stability="stable", conversation="things", said_at="2020-01-01T00:00:00Z")
    of_the_fox: list[dict[str, Any]] = [
        {"text": "fox"},
        {"type": "belief"},
        {"tag": "animal"},
        {"speaker": "Ann"},
        {"since": "2021-01-01T00:00:00Z"},
        {"sort": "oldest", "limit": 1},
    ]
    for query in of_the_fox:
        assert [item["text"] for item in page(client, **query)["items"]] == ["A fox."]
    for query in (
        {"stability": "stable"},
        {"conversation": "things"},
        {"until": "2021-01-01T00:00:00Z"},
        {"provenance": "said", "text": "stone"},
        {"sort": "priority", "limit": 1},
    ):
        assert [item["text"] for item in page(client, **query)["items"]] == ["A stone."]
    assert page(client, min_priority=1)["items"] == []
    refused: list[dict[str, Any]] = [
        {"type": "nothing"},
        {"sort": "nothing"},
        {"limit": 0},
        {"since": "noon"},
        {"min_priority": 2},
    ]
    for query in refused:
        assert client.get("/api/v1/memories", params=query).status_code == 422


def test_a_stale_edit_is_refused(client: TestClient) -> None:
    (made,) = remember(client, "A fox.")
    path = f"/api/v1/memories/{made['id']}"
    read = client.get(path)
    etag = read.headers["etag"]
    assert etag == f'"{read.json()["version"]}"'
    first = client.patch(path, json={"importance": 0.9, "tags": ["pinned"]}, headers={"if-match": etag})
    assert (first.status_code, first.json()["importance"], first.json()["tags"]) == (200, 0.9, ["pinned"])
    assert first.headers["etag"] != etag
    stale = client.patch(path, json={"importance": 0.1}, headers={"if-match": etag})
    assert (stale.status_code, stale.json()["error"]) == (412, "Conflict")
    assert client.get(path).json()["importance"] == 0.9
    again = client.patch(path, json={"importance": 0.1}, headers={"if-match": first.headers["etag"]})
    assert again.status_code == 200
    assert client.patch(path, json={"importance": 0.2}).status_code == 200  # whatever it is now
    assert client.patch(path, json={"importance": 0.3}, headers={"if-match": "*"}).status_code == 200


@pytest.mark.parametrize("change", ["correct", "merge", "restore", "delete"])
def test_every_change_of_a_memory_goes_by_its_version(client: TestClient, change: str) -> None:
    made, twin = remember(client, "A fox.", "a fox")
    path = f"/api/v1/memories/{made['id']}"
    if change == "restore":
        client.post(f"{path}/correct", json={"text": "A wolf."})
    body = {"correct": {"text": "A dog."}, "merge": {"others": [twin["id"]]}, "restore": {}}

    def changed(etag: str) -> Any:
        headers = {"if-match": etag}
        if change == "delete":
            return client.delete(path, headers=headers)
        return client.post(f"{path}/{change}", json=body[change], headers=headers)

    etag = client.get(path).headers["etag"]
    amended = client.patch(path, json={"importance": 0.9}, headers={"if-match": etag})
    stale = changed(etag)
    assert (stale.status_code, stale.json()["error"]) == (412, "Conflict")
    assert stale.json()["details"] == {
        "id": made["id"],
        "version": amended.json()["version"],
        "expected": made["version"] + (change == "restore"),
    }
    assert client.get(path).headers["etag"] == amended.headers["etag"]
    assert changed("x").json()["error"] == "BadIfMatch"
    done = changed(amended.headers["etag"])
    assert done.status_code in (200, 201)
    if change != "delete":
        assert done.headers["etag"] == f'"{done.json()["version"]}"'


def test_what_takes_the_place_of_a_memory_changes_its_etag(client: TestClient) -> None:
    (made,) = remember(client, "Mara lives in Lisbon.")
    path = f"/api/v1/memories/{made['id']}"

    def etags() -> list[str]:
        """Of a correction that comes and goes, and comes and is taken back."""
        found = [client.get(path).headers["etag"]]
        new = client.post(f"{path}/correct", json={"text": "Mara lives in Porto."}).json()
        found.append(client.get(path).headers["etag"])
        client.delete(f"/api/v1/memories/{new['id']}")
        found.append(client.get(path).headers["etag"])
        client.post(f"{path}/correct", json={"text": "Mara lives in Faro."})
        client.post(f"{path}/restore", json={})
        return [*found, client.get(path).headers["etag"]]

    found = etags()
    assert len(set(found)) == 4
    for etag in found[:-1]:
        answer = client.patch(path, json={"importance": 0.1}, headers={"if-match": etag})
        assert answer.status_code == 412


@pytest.mark.parametrize(
    "version", ["x", "", '"', '"1', '"1" "2"', '"1",, "2"', '"99999999999999999999"', "-1", "1e3", "\u0661"]
)
def test_what_is_no_version_is_refused(client: TestClient, version: str) -> None:
    (made,) = remember(client, "A fox.")
    headers = {b"if-match": version.encode()}
    answer = client.patch(f"/api/v1/memories/{made['id']}", json={"importance": 0.1}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "BadIfMatch")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("*", 200),
        ('"1"', 200),
        ("1", 200),
        ('"7", "1"', 200),
        ('W/"9", "1" ', 200),
        ('"7"', 412),
        ('"7", "8"', 412),
        ('W/"1"', 412),  # a weak tag fits nothing here (RFC 9110, 13.1.1)
        ('"x"', 412),
        ('"\u0661"', 412),
    ],
)
def test_an_edit_goes_by_the_tags_of_if_match(client: TestClient, given: str, status: int) -> None:
    (made,) = remember(client, "A fox.")
    headers = {b"if-match": given.encode()}
    answer = client.patch(f"/api/v1/memories/{made['id']}", json={"importance": 0.1}, headers=headers)
    assert answer.status_code == status
    if status == 412:
        assert answer.json()["error"] == "Conflict"
    assert client.patch("/api/v1/memories/nobody", json={}, headers=headers).status_code == 404


def test_an_edit_changes_what_it_names_and_nothing_else(client: TestClient) -> None:
    (made,) = remember(client, "A fox.", emotion={"label": "joy", "intensity": 1}, tags=["a"])
    path = f"/api/v1/memories/{made['id']}"
    changed = client.patch(path, json={"type": "belief", "stability": "canonical"}).json()
    assert (changed["type"], changed["stability"], changed["tags"]) == ("belief", "canonical", ["a"])
    assert changed["emotion"]["label"] == "joy"
    assert client.patch(path, json={"emotion": None}).json()["emotion"] is None
    assert (
        client.patch(path, json={"emotion": {"label": "calm", "intensity": 0.2}}).json()["emotion"]["label"]
        == "calm"
    )
    assert client.patch(path, json={"text": "A wolf."}).status_code == 422
    assert client.patch("/api/v1/memories/m_0", json={"type": "belief"}).status_code == 404


def test_what_forgetting_takes_along_is_told_before(client: TestClient, aspen: Aspen) -> None:
    reply = aspen.chat(WHERE)
    id_ = reply.memories[0].id
    told = client.get(f"/api/v1/memories/{id_}/forgetting").json()
    assert [memory["id"] for memory in told["memories"]] == [id_]
    assert told["traces"] == [reply.trace_id]
    traces = client.get(f"/api/v1/memories/{id_}/traces").json()["items"]
    assert [trace["id"] for trace in traces] == [reply.trace_id]
    assert client.get(f"/api/v1/memories/{id_}").status_code == 200


def test_duplicates_are_found_merged_and_restored(client: TestClient) -> None:
    first, second = remember(client, "My cat is called Biscuit.", "my cat is called biscuit", source="a")
    (pair,) = client.get("/api/v1/duplicates").json()["items"]
    assert (pair["first"]["id"], pair["second"]["id"], pair["similarity"]) == (first["id"], second["id"], 1)
    kept = client.post(f"/api/v1/memories/{second['id']}/merge", json={"others": [first["id"]]})
    assert kept.json()["id"] == second["id"]
    assert client.get(f"/api/v1/memories/{first['id']}").json()["corrected_by"] == second["id"]
    assert client.get("/api/v1/duplicates", params={"threshold": 0.99}).json()["items"] == []
    restored = client.post(f"/api/v1/memories/{first['id']}/restore", json={})
    assert (restored.status_code, restored.json()["corrected_by"]) == (200, None)
    assert client.post(f"/api/v1/memories/{first['id']}/restore", json={}).status_code == 422


def test_growth_by_day(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    (day,) = client.get("/api/v1/growth").json()["items"]
    assert (day["memories"], day["traces"]) == (5, 0)


def test_the_graph_of_what_matters_most(client: TestClient, aspen: Aspen) -> None:
    related(aspen)
    whole = client.get("/api/v1/graph").json()
    assert (len(whole["nodes"]), len(whole["edges"]), whole["truncated"]) == (11, 2, False)
    part = client.get("/api/v1/graph", params={"limit": 3}).json()
    assert (len(part["nodes"]), part["truncated"]) == (3, True)
    weights = [node["priority"] for node in part["nodes"]]
    assert weights == sorted(weights, reverse=True)
