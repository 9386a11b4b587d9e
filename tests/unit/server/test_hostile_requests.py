"""Requests that no honest client sends: each gets a problem of its own, and none a mistake of the server."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.server.conftest import BASE, Connect

from aspen import Aspen, Config
from aspen.server.app import create_app
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel

JSON = {"content-type": "application/json"}
ODD = [
    "%00",
    "%ff",
    "%ED%A0%80",
    "%F0%9F%A6%8A",
    "a%0Ab",
    "x" * 501,
    "x" * 20_000,
    "%2e%2e%2f%2e%2e",
    "%25s",
    "'%20OR%201=1",
]


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert "content-security-policy" in answer.headers
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code
    return told


@pytest.mark.parametrize("place", ODD)
@pytest.mark.parametrize(
    "path",
    [
        "memories/{}",
        "memories/{}/history",
        "memories/{}/relations",
        "memories/{}/traces",
        "conversations/{}/turns",
        "traces/{}",
        "traces/{}/map",
        "jobs/{}",
        "jobs/{}/events",
        "graph?center={}",
    ],
)
def test_a_place_that_cannot_be_is_not_found(client: TestClient, path: str, place: str) -> None:
    answer = client.get(f"/api/v1/{path.format(place)}")
    assert problem(answer)["status"] in (404, 422)


@pytest.mark.parametrize("place", ODD)
def test_a_filter_that_nothing_fits_finds_nothing(client: TestClient, place: str) -> None:
    for name in ("text", "tag", "speaker", "conversation"):
        answer = client.get(f"/api/v1/memories?{name}={place}")
        assert answer.status_code in (200, 422)
        if answer.status_code == 422:
            problem(answer)


def cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@pytest.mark.parametrize("path", ["memories", "traces", "conversations/talk/turns"])
@pytest.mark.parametrize(
    "place",
    [
        "[" * 1400,
        f"[{10**300}]",
        "[1e400]",
        "[NaN]",
        "[null]",
        "[true]",
        "[[1]]",
        "{}",
        "",
        '["x", "y"]',
        '["\\ud800", "\\ud800"]',
        '["9999-12-31T23:59:59-23:59", "y"]',
        "[9223372036854775808]",
        "[-1]",
    ],
)
def test_a_cursor_that_no_list_gave_is_refused(client: TestClient, path: str, place: str) -> None:
    item = {"text": "Mara moved.", "conversation": "talk"}
    assert client.post("/api/v1/memories", json={"items": [item]}).status_code == 201
    answer = client.get(f"/api/v1/{path}", params={"cursor": cursor(place)})
    if answer.status_code != 200:  # a number may be a place where nothing is left
        assert problem(answer)["status"] == 422
        return
    assert answer.json()["items"] == [] or place[:2] in ("[9", "[1")


@pytest.mark.parametrize("given", ["%00", "a", "====", "%F0%9F%A6%8A", "W10", "x" * 2001])
def test_a_cursor_that_is_no_cursor_is_refused(client: TestClient, given: str) -> None:
    for path in ("memories", "traces", "conversations/talk/turns"):
        answer = client.get(f"/api/v1/{path}?cursor={given}")
        assert problem(answer)["status"] == 422


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("recall", b"[" * 500_000, 400),
        ("recall", b'{"a":' * 100_000, 400),
        ("recall", b"", 422),
        ("recall", b"null", 422),
        ("recall", b'{"prompt": "\xff"}', 400),
        ("recall", b'{"prompt": "\\ud800"}', 422),
        ("recall", b'{"prompt": "x", "limit": NaN}', 422),
        ("recall", b'{"prompt": "x", "limit": 1e400}', 422),
        ("recall", b'{"prompt": "x", "limit": -Infinity}', 422),
        ("recall", b'{"prompt": "x", "limit": ' + b"9" * 5000 + b"}", 400),
        ("recall", b'{"prompt": "x", "limit": true}', 422),
        ("recall", b'{"prompt": "x", "spreading": {"decay": NaN}}', 422),
        ("memories", b'{"items": [{"text": "x", "importance": NaN}]}', 422),
        ("memories", b'{"items": [{"text": "x", "importance": Infinity}]}', 422),
        ("memories", b'{"items": [{"text": "x", "tags": ["\\ud800"]}]}', 422),
        ("memories", b'{"items": [{"text": "x", "said_at": "0001-01-01T00:00:00+23:59"}]}', 422),
        ("spread", b'{"seeds": {"\\ud800": 1}}', 404),
        ("spread", b'{"seeds": {"x": 1e400}}', 422),
        ("memories/forget", b'{"ids": ["\\u0000"]}', 404),
        ("relations", b'{"items": [{"source": "\\u0000", "target": "x", "type": "supports"}]}', 404),
        ("chat", b'{"message": "\\ud800"}', 422),
        ("chat", b'{"message": "x", "temperature": NaN}', 422),
    ],
)
def test_a_body_that_means_nothing_is_refused_and_not_sent_back(
    client: TestClient, aspen: Aspen, path: str, body: bytes, status: int
) -> None:
    answer = client.post(f"/api/v1/{path}", content=body, headers=JSON)
    assert problem(answer)["status"] == status
    assert len(answer.content) < 2000
    assert aspen.repository.stats().memories == 0


def test_of_a_parameter_that_is_given_twice_one_counts(client: TestClient) -> None:
    items = [{"text": f"Number {number}."} for number in range(3)]
    client.post("/api/v1/memories", json={"items": items})
    assert len(client.get("/api/v1/memories?limit=1&limit=2").json()["items"]) in (1, 2)
    twice = client.post("/api/v1/memories", content=b'{"items": [], "items": [{"text": "x"}]}', headers=JSON)
    assert twice.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/nothing.js", 404),
        ("GET", f"/static/{'a' * 5000}", 404),
        ("GET", "/static/a%00b", 404),
        ("POST", "/", 405),
        ("POST", "/static/main.js", 405),
        ("GET", "/api/v1/memories/a/b/c", 404),
        ("TRACE", "/api/v1/memories", 405),
        ("BREW", "/api/v1/memories", 405),
        ("GET", "//evil.example/", 404),
    ],
)
def test_what_there_is_not_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, BASE + path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in answer.headers
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_neither_memories_nor_tokens_stand_in_the_log(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "Mara has a secret"

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(text) from ValueError(text)

    monkeypatch.setattr(aspen.repository, "list", broken)
    token = "a-token-of-many-letters"
    caplog.set_level(logging.DEBUG)
    settings = ServerSettings(host="0.0.0.0", token=token)
    with TestClient(create_app(aspen, settings=settings, warm=False), base_url=BASE) as client:
        client.get(f"/?token={token}")
        answer = client.get("/api/v1/conversations/Mara%20has%20a%20secret/turns")  # raises nothing here
        client.post("/api/v1/recall", json={"prompt": "Mara has a secret", "arms": ["nothing"]})
    assert problem(answer)["error"] == "Unexpected"
    written = [
        record.getMessage() for record in caplog.records if record.name.startswith(("aspen", "uvicorn"))
    ]
    (mistake,) = [line for line in written if "unexpected" in line]
    assert "RuntimeError" in mistake and "ValueError" in mistake
    assert "in turns" in mistake  # where it was
    assert not any("secret" in line or token in line for line in written)


def test_a_cookie_of_something_else_does_not_hide_ours(connect: Connect) -> None:
    token = "a-token-of-many-letters"
    client = connect(ServerSettings(host="0.0.0.0", token=token))
    for other in ('state={"a": 1, "b": [2]}', "x=y z; =; ;;", 'q="', "a b=c"):
        cookie = {"cookie": f"{other}; aspen-token-8420={token}"}
        assert client.get("/api/v1/conversations", headers=cookie).status_code == 200
        assert client.get("/api/v1/conversations", headers={"cookie": other}).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "", "made-up"])
def test_another_port_of_this_machine_is_another_page(client: TestClient, site: str) -> None:
    answer = client.get("/api/v1/conversations", headers={"sec-fetch-site": site})
    assert problem(answer)["status"] == 403


def test_the_token_does_not_lead_to_another_server(connect: Connect) -> None:
    client = connect(ServerSettings(host="0.0.0.0", token="a-token"))
    for path in ("//evil.example/", "///evil.example", "/\\evil.example"):
        client.cookies.clear()
        answer = client.get(f"{BASE}{path}?token=a-token")
        assert answer.status_code == 303
        assert not answer.headers["location"].startswith(("//", "/\\", "http"))
    assert json.dumps(dict(answer.headers)).count("a-token") == 1  # in the cookie


def test_what_postgres_cannot_hold_is_no_mistake_either(
    connect: Connect, config: Config, new_postgres_url: Callable[[], str]
) -> None:
    with Aspen.open(new_postgres_url(), model=FakeModel(), config=config) as store:
        client = connect(store=store)
        for place in ("%00", "%ED%A0%80", "x" * 501):
            for path in ("memories/{}", "memories/{}/history", "conversations/{}/turns", "traces/{}"):
                answer = client.get(f"/api/v1/{path.format(place)}")
                assert problem(answer)["status"] in (404, 422)
            for name in ("text", "tag", "speaker", "conversation"):
                assert client.get(f"/api/v1/memories?{name}={place}").status_code in (200, 422)
        for path, body, statuses in (
            ("memories/forget", b'{"ids": ["\\u0000"]}', (404, 422)),
            ("memories", b'{"items": [{"text": "a\\u0000b", "speaker": "Ann"}]}', (201, 422)),
            ("recall", b'{"prompt": "a\\u0000b"}', (200, 422)),
            ("spread", b'{"seeds": {"\\u0000": 1}}', (404, 422)),
        ):
            answer = client.post(f"/api/v1/{path}", content=body, headers=JSON)
            assert answer.status_code in statuses, answer.text
        for place in ("[9223372036854775808]", "[-1]", '["\\u0000", "\\u0000"]'):
            for path in ("memories", "traces", "conversations/talk/turns"):
                answer = client.get(f"/api/v1/{path}", params={"cursor": cursor(place)})
                assert answer.status_code in (200, 404, 422), answer.text
