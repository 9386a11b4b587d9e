from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from starlette.testclient import TestClient
from tests.front_door import WHERE, facts
from tests.unit.server.conftest import Connect

from aspen import Aspen, Config
from aspen.testing.fake_model import FakeModel

EVENTS = {"accept": "text/event-stream"}


def events(text: str) -> list[tuple[str, Any]]:
    """Name and data of each event."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_a_reply_tells_all_that_went_into_it(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    told = client.post("/api/v1/chat", json={"message": WHERE, "seed": 7, "note_tokens": 900}).json()
    assert (told["text"], told["seed"], told["conversation"]) == ("Very well.", 7, "default")
    assert told["injection"]["strategy"] == "note"
    assert told["note"]["memory_ids"] == told["injection"]["memory_ids"]
    assert [memory["text"] for memory in told["memories"]] == [WHERE, "Very well."]
    assert aspen.trace(told["trace_id"]).seed == 7


def test_a_reply_comes_as_it_is_written(client: TestClient, aspen: Aspen) -> None:
    answer = client.post("/api/v1/chat", json={"message": WHERE, "seed": 7}, headers=EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    *tokens, (last, reply) = told
    assert {name for name, _ in tokens} == {"token"}
    assert "".join(data["text"] for _, data in tokens) == reply["text"] == "Very well."
    assert last == "reply"
    assert aspen.trace(reply["trace_id"]).seed == 7


def test_without_memory_and_without_remembering(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    body = {"message": WHERE, "memory": False, "remember": False}
    told = client.post("/api/v1/chat", json=body).json()
    assert (told["injection"], told["trace_id"], told["memories"]) == (None, None, [])
    assert aspen.repository.stats().memories == 5


def test_an_error_has_a_status_or_is_an_event(client: TestClient) -> None:
    body = {"message": "bad \u0007"}
    assert client.post("/api/v1/chat", json=body).status_code == 422
    ((name, problem),) = events(client.post("/api/v1/chat", json=body, headers=EVENTS).text)
    assert (name, problem["status"], problem["error"]) == ("error", 422, "InvalidInput")


@pytest.mark.parametrize("seed", [-1, 2**53, 1.5, "7", True])
def test_what_is_no_seed_is_refused(client: TestClient, seed: object) -> None:
    assert client.post("/api/v1/chat", json={"message": "Hello", "seed": seed}).status_code == 422


def test_conversations_are_told_turn_by_turn(client: TestClient, aspen: Aspen) -> None:
    remembered = facts(aspen)
    for number in range(3):
        aspen.chat(f"{WHERE} {number}", conversation="talk", seed=number, note_tokens=900)
    names = [one["name"] for one in client.get("/api/v1/conversations").json()["items"]]
    assert names == ["talk", "facts"]
    path = "/api/v1/conversations/talk/turns"
    first = client.get(path, params={"limit": 2}).json()
    assert [turn["said"]["text"] for turn in first["items"]] == [f"{WHERE} 2", f"{WHERE} 1"]
    turn = first["items"][0]
    assert (turn["reply"]["text"], turn["seed"], turn["finish_reason"]) == ("Very well.", 2, "stop")
    assert turn["injection"]["strategy"] == "note"
    assert {memory["id"] for memory in turn["injected"]} <= {memory.id for memory in remembered}
    assert turn["trace"]["id"] == turn["said"]["trace_id"]
    assert turn["seconds"] > 0
    assert 0 <= turn["familiarity"] <= 1
    second = client.get(path, params={"limit": 2, "cursor": first["next"]}).json()
    assert [turn["said"]["text"] for turn in second["items"]] == [f"{WHERE} 0"]
    assert second["next"] is None


def test_names_of_conversations_may_have_slashes(client: TestClient, aspen: Aspen) -> None:
    aspen.remember("The train leaves at six.", conversation="trips/lisbon?")
    told = client.get("/api/v1/conversations/trips%2Flisbon%3F/turns").json()
    assert [turn["said"]["text"] for turn in told["items"]] == ["The train leaves at six."]


def test_a_recording_that_cannot_be_shown_says_why(connect: Connect, tmp_path: Path, config: Config) -> None:
    path = tmp_path / "damaged.db"
    model = FakeModel(say=lambda prompt: "Very well.")
    with Aspen.open(path, model=model, config=config) as aspen:
        aspen.chat(WHERE, conversation="talk")
        with apsw.Connection(str(path)) as connection:
            connection.execute("UPDATE trace SET body = zeroblob(size)")
        (turn,) = connect(store=aspen).get("/api/v1/conversations/talk/turns").json()["items"]
    assert (turn["said"]["text"], turn["trace"]) == (WHERE, None)
    assert "trace" in turn["trace_error"]


def test_what_was_said_without_a_reply_is_a_turn_as_well(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    told = client.get("/api/v1/conversations/facts/turns", params={"limit": 2}).json()
    assert [turn["reply"] for turn in told["items"]] == [None, None]
    assert [turn["trace"] for turn in told["items"]] == [None, None]
    assert told["next"] is not None
    assert client.get("/api/v1/conversations/none/turns").status_code == 404


def test_a_turn_whose_memory_was_forgotten_is_told_without_it(client: TestClient, aspen: Aspen) -> None:
    reply = aspen.chat(WHERE, conversation="talk")
    aspen.forget(reply.memories[0].id)
    (turn,) = client.get("/api/v1/conversations/talk/turns").json()["items"]
    assert (turn["said"], turn["trace"], turn["seed"]) == (None, None, None)
    assert turn["reply"]["text"] == "Very well."


def test_a_question_is_answered_with_what_it_stands_on(client: TestClient, aspen: Aspen) -> None:
    facts(aspen)
    body = {"question": WHERE, "orchestration": "repository", "seed": 3}
    answer = client.post("/api/v1/ask", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["question"] == WHERE
    assert told["seed"] == 3
    assert told["memories"]
