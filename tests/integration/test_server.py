"""The server over real connections: many clients, one that goes away, and an end that loses nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.front_door import WHERE, facts

from aspen import Aspen, Config
from aspen.server.running import Address, running
from aspen.server.settings import ServerSettings, settings_for
from aspen.testing.fake_model import FakeModel

EVENTS = {"accept": "text/event-stream"}
LONG = "word " * 50


class Slow(FakeModel):
    """Writes slowly, and counts what it wrote."""

    def __init__(self, reply: str = LONG, *, seconds: float = 0.01) -> None:
        super().__init__(say=self._next, context_length=8192)
        self.reply, self.seconds = reply, seconds
        self.tokens = 0

    def _next(self, prompt: str) -> str:
        self.tokens += 1
        time.sleep(self.seconds)
        return self.reply


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("server")
    return Config(cache_dir=folder, store=folder / "never-used.db")


@pytest.fixture
def model() -> Slow:
    return Slow()


@pytest.fixture
def aspen(config: Config, model: Slow, tmp_path: Path) -> Iterator[Aspen]:
    with Aspen.open(tmp_path / "store.db", model=model, config=config) as aspen:
        yield aspen


Serve = Callable[..., Address]


@pytest.fixture
def address(aspen: Aspen) -> Iterator[Address]:
    with running(aspen, settings=ServerSettings(port=0)) as address:
        yield address


@pytest.fixture
def client(address: Address) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address.url, timeout=30) as client:
        yield client


def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("It did not happen.")


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Name and data of each event, as it comes."""
    name = ""
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            yield name, json.loads(value)


def test_a_reply_comes_piece_by_piece(client: httpx.Client) -> None:
    with client.stream("POST", "/api/v1/chat", json={"message": WHERE}, headers=EVENTS) as answer:
        times, told = [], []
        for name, data in events(answer):
            times.append(time.monotonic())
            told.append((name, data))
    assert told[-1][0] == "reply"
    assert "".join(data["text"] for name, data in told if name == "token") == LONG
    assert times[-1] - times[0] > 1  # it did not come all at once


@pytest.mark.parametrize("headers", [EVENTS, {}])
def test_where_the_client_goes_away_the_model_stops_and_nothing_is_stored(
    client: httpx.Client, aspen: Aspen, model: Slow, headers: dict[str, str]
) -> None:
    facts(aspen)
    before = aspen.repository.revision()
    if headers:
        with client.stream("POST", "/api/v1/chat", json={"message": WHERE}, headers=headers) as answer:
            next(events(answer))
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/v1/chat", json={"message": WHERE}, timeout=1.0)
    until(lambda: client.get("/api/v1/health").json()["generations"] == 0)
    written = model.tokens
    assert 0 < written < len(LONG)
    time.sleep(0.2)
    assert model.tokens == written
    assert aspen.repository.revision() == before
    assert aspen.repository.check() == []
    model.reply = "Well."
    assert client.post("/api/v1/chat", json={"message": WHERE}).json()["text"] == "Well."


def test_what_a_client_no_longer_waits_for_does_not_get_its_turn(
    client: httpx.Client, model: Slow, address: Address
) -> None:
    first = threading.Thread(target=client.post, args=("/api/v1/chat",), kwargs={"json": {"message": "One."}})
    first.start()
    until(lambda: model.tokens > 0)
    with httpx.Client(base_url=address.url) as other, pytest.raises(httpx.ReadTimeout):
        other.post("/api/v1/chat", json={"message": "Two."}, timeout=0.5)
    first.join()
    until(lambda: client.get("/api/v1/health").json()["generations"] == 0)
    said = [one["said"]["text"] for one in client.get("/api/v1/conversations/default/turns").json()["items"]]
    assert said == ["One."]


def test_memories_are_found_and_edited_while_the_model_writes(
    client: httpx.Client, aspen: Aspen, model: Slow
) -> None:
    made = facts(aspen)
    model.reply = LONG * 3
    writing = threading.Thread(
        target=client.post, args=("/api/v1/chat",), kwargs={"json": {"message": WHERE}}
    )
    writing.start()
    until(lambda: model.tokens > 10)
    found = client.post("/api/v1/recall", json={"prompt": "flaky test", "arms": ["keyword"]}).json()
    assert found["hits"][0]["memory"]["id"] == made[1].id
    whole = client.post("/api/v1/recall", json={"prompt": "flaky test"}).json()
    assert whole["partial_pass"] is not None  # it ran through the model, between two tokens of the reply
    assert client.patch(f"/api/v1/memories/{made[1].id}", json={"importance": 1}).status_code == 200
    assert client.delete(f"/api/v1/memories/{made[4].id}").status_code == 200
    assert client.get("/api/v1/health").json()["generations"] == 1
    assert writing.is_alive()
    writing.join()


def test_so_many_wait_for_the_model_and_the_others_are_told_when_to_come_back(aspen: Aspen) -> None:
    settings = ServerSettings(port=0, waiting=1)
    with (
        running(aspen, settings=settings) as address,
        httpx.Client(base_url=address.url, timeout=60) as client,
        ThreadPoolExecutor(5) as pool,
    ):
        answers = list(
            pool.map(lambda n: client.post("/api/v1/chat", json={"message": f"Number {n}."}), range(5))
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 503, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"] == "Busy"
    assert int(refused.headers["retry-after"]) > 0


def test_an_end_finishes_the_reply_that_is_being_written(aspen: Aspen, config: Config) -> None:
    told: list[tuple[str, Any]] = []
    began = threading.Event()

    def talk(url: str) -> None:
        with httpx.stream("POST", f"{url}api/v1/chat", json={"message": WHERE}, headers=EVENTS) as answer:
            for event in events(answer):
                told.append(event)
                began.set()

    with running(aspen, settings=ServerSettings(port=0)) as address:
        talking = threading.Thread(target=talk, args=(address.url,))
        talking.start()
        assert began.wait(30)
    talking.join()
    assert told[-1][0] == "reply"
    assert aspen.trace(told[-1][1]["trace_id"]).reply.strip() == LONG.strip()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address.url)


def test_an_end_that_takes_too_long_breaks_off_without_a_trace(aspen: Aspen, model: Slow) -> None:
    model.reply = LONG * 10
    settings = ServerSettings(port=0, grace_seconds=1)
    gone: list[Exception] = []

    def talk(url: str) -> None:
        try:
            httpx.post(f"{url}api/v1/chat", json={"message": WHERE}, timeout=60).raise_for_status()
        except httpx.HTTPError as error:
            gone.append(error)

    with running(aspen, settings=settings) as address:
        talking = threading.Thread(target=talk, args=(address.url,))
        talking.start()
        until(lambda: model.tokens > 5)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    talking.join()
    assert gone
    assert aspen.repository.stats().memories == 0


def test_who_follows_a_job_is_let_go_at_the_end_and_the_job_ends_at_a_whole_step(aspen: Aspen) -> None:
    lines = b"".join(json.dumps({"text": f"Line {number}."}).encode() + b"\n" for number in range(2000))
    followed: list[str] = []
    with running(aspen, settings=ServerSettings(port=0, grace_seconds=0)) as address:
        headers = {"content-type": "application/x-ndjson"}
        job = httpx.post(f"{address.url}api/v1/import", content=lines, headers=headers, timeout=60).json()

        def follow() -> None:
            with httpx.stream("GET", f"{address.url}api/v1/jobs/{job['id']}/events", timeout=60) as answer:
                followed.extend(data["state"] for _, data in events(answer))

        following = threading.Thread(target=follow)
        following.start()
        until(lambda: aspen.repository.stats().memories > 0)
    following.join()
    assert followed
    assert aspen.repository.stats().memories % 128 == 0 or aspen.repository.stats().memories == 2000
    assert aspen.repository.check() == []


def test_twenty_clients_lose_no_write_that_was_answered(
    client: httpx.Client, aspen: Aspen, model: Slow
) -> None:
    model.reply, model.seconds = "Well.", 0
    facts(aspen)

    def work(number: int) -> list[str]:
        kept = []
        for turn in range(2):
            text = f"Client {number} said number {turn}."
            made = client.post("/api/v1/memories", json={"items": [{"text": text}]}).json()["items"][0]
            reply = client.post("/api/v1/chat", json={"message": text, "conversation": f"talk {number}"})
            assert reply.status_code == 200, reply.text
            assert client.post("/api/v1/recall", json={"prompt": text}).status_code == 200
            if turn == 1:
                assert client.delete(f"/api/v1/memories/{made['id']}").status_code == 200
            else:
                kept.append(made["id"])
                changed = client.patch(f"/api/v1/memories/{made['id']}", json={"importance": 1.0})
                assert changed.status_code == 200
        return kept

    with ThreadPoolExecutor(20) as pool:
        kept = [id_ for ids in pool.map(work, range(20)) for id_ in ids]
    stored = aspen.repository.get(kept)  # NotFound where one was lost
    assert {memory.importance for memory in stored} == {1.0}
    assert aspen.repository.check() == []


def test_only_who_knows_the_token_is_answered_from_the_network(aspen: Aspen) -> None:
    settings = settings_for(host="0.0.0.0", port=0)
    with running(aspen, settings=settings) as address, httpx.Client(follow_redirects=True) as client:
        assert client.get(f"{address.url}api/v1/conversations").status_code == 401
        assert client.get(address.entrance).status_code in (200, 503)  # 503 where there is no page
        assert client.get(f"{address.url}api/v1/conversations").status_code == 200


def test_a_request_that_is_no_http_and_one_that_never_ends_harm_nobody(address: Address) -> None:
    host, port = "127.0.0.1", int(address.url.rsplit(":", 1)[1].strip("/"))
    with socket.create_connection((host, port)) as slow, socket.create_connection((host, port)) as bad:
        slow.sendall(b"POST /api/v1/memories HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n")
        bad.sendall(b"\x16\x03\x01 no http at all\r\n\r\n")
        assert b"400" in bad.recv(1000)
        assert httpx.get(f"{address.url}api/v1/live").json() == {"alive": True}


@pytest.mark.slow
def test_the_program_serves_and_ends_at_a_signal(tmp_path: Path) -> None:
    environment = {**os.environ, "ASPEN_STORE": str(tmp_path / "store.db")}
    arguments = [sys.executable, "-m", "aspen.cli", "serve", "--port", "0"]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        body = {"items": [{"text": "My sister Mara moved to Lisbon."}]}
        made = httpx.post(f"{url}api/v1/memories", json=body, timeout=300)
        assert made.status_code == 201
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=60) == 0
    with Aspen.open(tmp_path / "store.db") as aspen:
        assert aspen.repository.stats().memories == 1
