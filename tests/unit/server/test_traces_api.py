from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.front_door import WHERE, facts

from aspen import Aspen


def ended(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    """A job when it has ended."""
    for _ in range(1000):
        now: dict[str, Any] = client.get(f"/api/v1/jobs/{job['id']}").json()
        if now["state"] not in ("queued", "running"):
            return now
        time.sleep(0.01)
    raise AssertionError(now)


def replayed(client: TestClient, trace_id: str, **changes: Any) -> dict[str, Any]:
    answer = client.post(f"/api/v1/traces/{trace_id}/replay", json=changes)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    return ended(client, answer.json())


def test_traces_are_listed_page_by_page(client: TestClient, aspen: Aspen) -> None:
    ids = [aspen.chat(f"{WHERE} {number}", conversation="talk", seed=number).trace_id for number in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get(
            "/api/v1/traces", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    by_seed = client.get("/api/v1/traces", params={"seed": 3}).json()["items"]
    assert [(item["id"], item["seed"], item["level"]) for item in by_seed] == [(ids[3], 3, "pooled")]
    assert by_seed[0]["said"] == f"{WHERE} 3"
    assert client.get("/api/v1/traces", params={"conversation": "none"}).json()["items"] == []


def test_a_page_goes_on_where_the_trace_at_its_end_was_forgotten(client: TestClient, aspen: Aspen) -> None:
    replies = [aspen.chat(f"{WHERE} {number}", conversation=f"talk {number}") for number in range(4)]
    page = client.get("/api/v1/traces", params={"limit": 2}).json()
    aspen.forget(replies[2].memories[0].id)
    rest = client.get("/api/v1/traces", params={"cursor": page["next"]}).json()["items"]
    assert [item["id"] for item in rest] == [replies[1].trace_id, replies[0].trace_id]


def test_cursors_of_others_are_refused(client: TestClient) -> None:
    for cursor in ("x", "WyJ4IiwgInkiXQ"):  # ["x", "y"]
        assert client.get("/api/v1/traces", params={"cursor": cursor}).status_code == 422


def test_a_trace_tells_its_tokens_and_what_decided_them(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    reply = aspen.chat(WHERE, seed=7, note_tokens=900)
    told = client.get(f"/api/v1/traces/{reply.trace_id}").json()
    assert (told["seed"], told["reply"], told["level"]) == (7, "Very well.", "pooled")
    assert len(told["tokens"]) == len(told["token_ids"])
    assert "".join(told["tokens"][told["prompt_length"] :]) == "Very well.<|im_end|>"
    assert told["sampler"]["temperature"] == 0.2
    assert told["fingerprint"]["runtime"] == "fake"
    assert told["segments"][-1]["stop"] == len(told["token_ids"]) - 1
    assert set(told["injection"]["memory_ids"]) <= set(told["memories"])
    assert not {"digest", "state_digests", "hidden_states"} & set(told)
    assert client.get("/api/v1/traces/t_0").status_code == 404


def test_a_replay_is_verified(client: TestClient, aspen: Aspen) -> None:
    reply = aspen.chat(WHERE, seed=7)
    job = replayed(client, str(reply.trace_id))
    assert (job["state"], job["kind"]) == ("done", "replay")
    assert job["result"]["verified"] is True
    assert job["result"]["explanation"].startswith("verified")


def test_an_edit_is_told_side_by_side(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    reply = aspen.chat(WHERE, seed=7, note_tokens=900)
    result = replayed(client, str(reply.trace_id), edit="Where is the cat?")["result"]
    assert result["changed"] == ["message"] or "message" in result["changed"][0]
    assert result["faithful"] is True
    assert result["before"]["reply"] == "Very well."
    assert len(result["divergence"]["distances"]) == 4  # layers and the embedding
    without = replayed(client, str(reply.trace_id), no_note=True)["result"]
    assert "note" in without["changed"][0]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"note": "a", "no_note": True}, 422), ({"seed": "1"}, 422), ({"strategy": "none"}, 422)],
)
def test_what_cannot_be_changed_is_refused_at_once(
    client: TestClient, aspen: Aspen, body: dict[str, Any], status: int
) -> None:
    reply = aspen.chat(WHERE)
    assert client.post(f"/api/v1/traces/{reply.trace_id}/replay", json=body).status_code == status
    assert client.post("/api/v1/traces/t_0/replay", json={}).status_code == 404


def test_a_replay_that_fails_says_why_as_a_problem(client: TestClient, aspen: Aspen) -> None:
    reply = aspen.chat(WHERE, memory=False)
    job = replayed(client, str(reply.trace_id), no_note=True)  # there is none to leave out
    assert job["state"] == "failed"
    assert job["problem"]["error"] == "InvalidInput"


def test_upkeep_comes_as_jobs(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    job = ended(client, client.post("/api/v1/doctor", json={}).json())
    found = job["result"]["findings"]
    assert job["done"] == job["total"] == len(found)
    assert {"python", "store"} <= {finding["name"] for finding in found} | {"store"}
    keys = ended(client, client.post("/api/v1/rekey", json={}).json())
    assert keys["result"] == {"keys": 0, "model": "fake-0"}
    summaries = ended(client, client.post("/api/v1/summarise", json={"dry_run": True}).json())
    assert summaries["result"] == {"summaries": []}
    assert [job["kind"] for job in client.get("/api/v1/jobs").json()["items"]] == [
        "summarise",
        "rekey",
        "doctor",
    ]


def test_a_job_is_followed_by_events(client: TestClient) -> None:
    job = client.post("/api/v1/doctor", json={}).json()
    answer = client.get(f"/api/v1/jobs/{job['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"state":"done"' in answer.text.strip().rpartition("\n\n")[2]
    assert client.get("/api/v1/jobs/j_0/events").status_code == 404
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 409
    assert client.delete("/api/v1/jobs/j_0").status_code == 404
