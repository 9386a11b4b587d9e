"""Connections that are opened and not used as they should be: each ends, and harms nobody."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2 as httpx
import pytest

from aspen import Aspen, Config
from aspen.server.connections import Connection
from aspen.server.running import running
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel

HEAD = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture
def aspen(tmp_path: Path) -> Iterator[Aspen]:
    config = Config(cache_dir=tmp_path, store=tmp_path / "never-used.db")
    model = FakeModel(say=lambda prompt: "Well.")
    with Aspen.open(tmp_path / "store.db", model=model, config=config) as aspen:
        yield aspen


Connect = Callable[..., socket.socket]


@pytest.fixture
def connect(aspen: Aspen) -> Iterator[Connect]:
    """Opens connections to a server of its own, which is made at the first one."""
    with ExitStack() as stack:
        ports: list[int] = []

        def connect(**settings: float) -> socket.socket:
            if not ports:
                address = stack.enter_context(
                    running(aspen, settings=ServerSettings(port=0, **settings))  # type: ignore[arg-type]
                )
                ports.append(int(address.url.rsplit(":", 1)[1].strip("/")))
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", ports[0])))
            connection.settimeout(20)
            return connection

        yield connect


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes it."""
    got = b""
    try:
        while part := connection.recv(65_536):
            got += part
    except ConnectionResetError:
        pass
    return got


def until(connection: socket.socket, end: bytes) -> bytes:
    """An answer up to its end: head and body may come apart."""
    got = b""
    while not got.endswith(end):
        part = connection.recv(65_536)
        assert part, got
        got += part
    return got


def drip(connection: socket.socket, part: bytes, *, seconds: float) -> float:
    """Send a little now and then until it is closed; how long that took. AssertionError where it never is."""
    began = time.monotonic()
    connection.settimeout(seconds)
    while time.monotonic() - began < 15:
        try:
            connection.sendall(part)
            if connection.recv(1000) == b"":
                return time.monotonic() - began
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - began
    raise AssertionError("It was not closed.")


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(connect: Connect) -> None:
    slow, silent = connect(head_seconds=0.5), connect()
    slow.sendall(b"GET /api/v1/live HTTP/1.1\r\n" + HEAD)
    assert drip(slow, b"X-More: 1\r\n", seconds=0.05) < 5
    assert rest(silent) == b""  # who says nothing at all is let go as well


def test_a_second_request_has_to_come_in_time_too(connect: Connect) -> None:
    connection = connect(head_seconds=0.5)
    for _ in range(2):
        connection.sendall(b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert b"200 OK" in until(connection, b'{"alive":true}')
        time.sleep(0.7)  # an idle connection is not one whose request does not come
    assert drip(connection, b"GET", seconds=0.05) < 5


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(connect: Connect, aspen: Aspen) -> None:
    connection = connect(request_seconds=0.5)
    connection.sendall(b"POST /api/v1/memories HTTP/1.1\r\n" + HEAD + JSON + b"Content-Length: 1000\r\n\r\n")
    assert drip(connection, b" ", seconds=0.05) < 5
    assert aspen.repository.stats().memories == 0


def test_a_body_that_nobody_reads_is_not_waited_for(connect: Connect) -> None:
    connection = connect(request_seconds=0.5)
    head = b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head)
    assert drip(connection, b"1\r\nx\r\n", seconds=0.05) < 5


def test_a_reply_may_take_longer_than_a_request_to_come(aspen: Aspen) -> None:
    def slowly(prompt: str) -> str:
        time.sleep(0.005)
        return "Well, well, well."

    settings = ServerSettings(port=0, head_seconds=0.1, request_seconds=0.1)
    model = FakeModel(say=slowly)
    with (
        Aspen.open(":memory:", model=model, config=aspen.config) as other,
        running(other, settings=settings) as address,
    ):
        answer = httpx.post(f"{address.url}api/v1/chat", json={"message": "So?"}, timeout=30)
    assert answer.json()["text"].startswith("Well")


def test_what_is_written_of_it_has_a_time(connect: Connect, capfd: pytest.CaptureFixture[str]) -> None:
    connection = connect()
    connection.sendall(b"GET\r\n\r\n")
    assert rest(connection).startswith(b"HTTP/1.1 400")
    line = capfd.readouterr().err.strip()
    assert re.fullmatch(r"[\d-]{10} [\d:,]{12} WARNING uvicorn.error: Invalid HTTP request received\.", line)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/v1/live HTTP/1.1\r\n\r\n",  # no Host
        b"GET /api/v1/live HTTP/1.0\r\n\r\n",
        b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + HEAD + b"\r\n",
        b"GET /api/v1/\xff HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"POST /api/v1/recall HTTP/1.1\r\n" + HEAD + JSON + b"Transfer-Encoding: gzip\r\n\r\n",
        b"POST /api/v1/recall HTTP/1.1\r\n" + HEAD + JSON + b"Content-Length: -1\r\n\r\n",
        b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + b"Bad Name: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
    ],
)
def test_what_is_no_request_is_a_problem(connect: Connect, request_: bytes) -> None:
    connection = connect()
    connection.sendall(request_)
    connection.shutdown(socket.SHUT_WR)
    head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"content-security-policy: default-src 'none'" in head.lower()
    assert json.loads(body)["status"] == 400


def test_one_connection_too_many_is_told_so(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "most", 3)
    held = [connect() for _ in range(3)]
    held[-1].sendall(b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert b"200 OK" in held[-1].recv(65_536)  # by now all of them are known
    head, _, body = rest(connect()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in head.lower()
    assert json.loads(body)["error"] == "Busy"
    held[0].close()
    time.sleep(0.3)
    again = connect()
    again.sendall(b"GET /api/v1/live HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
    assert b"200 OK" in rest(again)


def test_an_upload_that_is_broken_off_leaves_nothing(
    connect: Connect, aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    connection = connect()
    kind = b"Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n"
    connection.sendall(b"POST /api/v1/import HTTP/1.1\r\n" + HEAD + kind + b'{"text": "A line."}\n' * 100)
    until = time.monotonic() + 10
    while not list(folder.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.02)
    connection.close()
    while list(folder.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert aspen.repository.stats().memories == 0
