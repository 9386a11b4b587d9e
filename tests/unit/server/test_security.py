"""Closed by default: whatever a foreign page or network can send is refused before anything of it is read."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from tests.unit.server.conftest import BASE, Connect

from aspen import Aspen
from aspen.server.problems import Refused
from aspen.server.security import RateLimit
from aspen.server.settings import ServerSettings, settings_for

LIVE = "/api/v1/live"
PRIVATE = "/api/v1/conversations"
TOKEN = "a-token-of-many-letters"
OPEN_TO_ALL = ServerSettings(host="0.0.0.0", token=TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1:8420", "localhost:8420", "LOCALHOST", "[::1]:8420", "127.0.0.1"])
def test_this_machine_may_ask_under_its_own_names(client: TestClient, host: str) -> None:
    assert client.get(PRIVATE, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),  # a name that the attacker lets resolve to 127.0.0.1
        ("evil.example:8420", 421),
        ("127.0.0.1.evil.example:8420", 421),
        ("localhost.", 421),
        ("0.0.0.0:8420", 421),
        ("[::1", 400),
        ("[::1]x:8420", 400),
        ("127.0.0.1:http", 400),
        ("", 400),
    ],
)
def test_a_name_that_is_not_the_servers_own_is_refused(client: TestClient, host: str, status: int) -> None:
    answer = client.get(PRIVATE, headers={"host": host})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_name_can_be_allowed(connect: Connect) -> None:
    client = connect(settings_for(allow_hosts=["Notebook.local", "fe80::1"]))
    assert client.get(PRIVATE, headers={"host": "notebook.local:8420"}).status_code == 200
    assert client.get(PRIVATE, headers={"host": "[fe80::1]:8420"}).status_code == 200
    assert client.get(PRIVATE, headers={"host": "other.local:8420"}).status_code == 421


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:3000",  # another program on this machine
        "http://localhost:8420",  # not the name that it was asked under
        "http://[",
        "",
    ],
)
def test_a_foreign_origin_is_refused_for_every_method(client: TestClient, origin: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = client.request(method, PRIVATE, headers={"origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_of_the_server_itself_may_ask(client: TestClient) -> None:
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.get(PRIVATE, headers=headers).status_code == 200


def test_what_a_browser_calls_cross_site_is_refused(client: TestClient) -> None:
    for path in (PRIVATE, "/", LIVE):
        assert client.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_what_a_form_can_send_is_no_request(client: TestClient, aspen: Aspen, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    body = b'{"items": [{"text": "I was here."}]}'
    answer = client.post("/api/v1/memories", content=body, headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["hint"]
    assert aspen.repository.stats().memories == 0


def test_loopback_asks_for_no_token_and_everything_else_does() -> None:
    assert settings_for().token is None
    assert settings_for(host="::1").token is None
    first, second = settings_for(host="0.0.0.0").token, settings_for(host="192.168.1.5").token
    assert first and second and first != second
    assert len(first) >= 32


@pytest.mark.parametrize(
    "path", [PRIVATE, "/", "/graph", "/static/main.js", "/api/v1/openapi.json", "/nothing"]
)
def test_without_the_token_nothing_is_told(connect: Connect, path: str) -> None:
    client = connect(OPEN_TO_ALL)
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"cookie": "aspen-token-8420=x"},
    ):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text


def test_that_it_lives_is_told_to_all(connect: Connect) -> None:
    assert connect(OPEN_TO_ALL).get(LIVE).json() == {"alive": True}


def test_the_token_opens_as_a_header(connect: Connect) -> None:
    client = connect(OPEN_TO_ALL)
    assert client.get(PRIVATE, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get(PRIVATE, headers={"authorization": f"bearer  {TOKEN}"}).status_code == 200


def test_the_token_in_an_address_becomes_a_cookie_and_leaves_the_address(connect: Connect) -> None:
    client = connect(OPEN_TO_ALL)
    assert client.get(f"{PRIVATE}?token={TOKEN}").status_code == 401  # pages only
    assert client.get("/?token=wrong").status_code == 401
    answer = client.get(f"/recall?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/recall"
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert client.get(PRIVATE).status_code == 200
    client.cookies.clear()
    assert client.get(PRIVATE).status_code == 401


def test_the_token_does_not_open_for_a_foreign_origin(connect: Connect) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "origin": "https://evil.example"}
    assert connect(OPEN_TO_ALL).get(PRIVATE, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", LIVE), ("GET", "/api/v1/nothing"), ("GET", "/static/nothing.js"), ("PUT", LIVE)],
)
def test_every_response_forbids_what_a_memory_could_start(client: TestClient, method: str, path: str) -> None:
    for headers in ({}, {"host": "evil.example"}, {"origin": "null"}):
        answer = client.request(method, path, headers=headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert (answer.headers.get("cache-control") == "no-store") == path.startswith("/api/")


def test_a_body_that_is_too_large_is_refused_by_its_length(connect: Connect, aspen: Aspen) -> None:
    client = connect(ServerSettings(body_limit=1000, import_limit=2000))
    body = b'{"items": [{"text": "' + b"x" * 1000 + b'"}]}'
    answer = client.post("/api/v1/memories", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")
    assert aspen.repository.stats().memories == 0


def test_a_body_that_does_not_tell_its_length_is_counted(connect: Connect, aspen: Aspen) -> None:
    client = connect(ServerSettings(body_limit=1000, import_limit=2000))
    for path, kind in (("/api/v1/memories", "application/json"), ("/api/v1/import", "application/jsonl")):
        pieces = (b'{"text": "piece"}\n' * 10 for _ in range(100))
        answer = client.post(path, content=pieces, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")
    assert aspen.repository.stats().memories == 0


def test_a_client_may_ask_so_often(connect: Connect) -> None:
    client = connect(ServerSettings(rate=0.001, burst=3))
    assert [client.get(LIVE).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get(LIVE).headers["retry-after"] == "1"


def test_one_client_that_asks_too_often_does_not_stop_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    limit = RateLimit(rate=1, burst=2)

    def allowed(client: str) -> bool:
        try:
            limit.take(client)
        except Refused:
            return False
        return True

    assert [allowed("a") for _ in range(3)] == [True, True, False]
    assert allowed("b")
    now = 1.0
    assert [allowed("a") for _ in range(2)] == [True, False]
    now = 100.0
    assert [allowed("a") for _ in range(3)] == [True, True, False]  # it saves up no more than at once
