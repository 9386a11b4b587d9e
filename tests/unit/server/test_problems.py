from __future__ import annotations

import inspect
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.server.conftest import BASE

from aspen import Aspen, errors
from aspen.server.app import create_app
from aspen.server.problems import Busy, Problem, problem, problem_of, status_of
from aspen.server.settings import ServerSettings

ERRORS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.AspenError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_of_the_tree_has_a_status_and_keeps_what_it_knows(kind: type[errors.AspenError]) -> None:
    told = problem_of(kind("It is so.", hint="Do that.", path="x", count=3))
    assert told["status"] == status_of(kind("")) != 500 or kind is errors.AspenError
    assert (told["error"], told["detail"], told["hint"]) == (kind.__name__, "It is so.", "Do that.")
    assert told["details"] == {"path": "x", "count": 3}
    assert Problem.model_validate(told)


def test_what_is_no_plain_data_among_the_details_is_told_as_text() -> None:
    told = problem(404, error="NotFound", detail="x", details={"a": object, "b": {1: "\ud800"}})
    assert told["details"]["b"] == {"1": "\ud800"}


def test_of_a_mistake_of_the_server_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told = problem_of(RuntimeError("a secret"))
    assert told["status"] == 500
    assert "secret" not in str(told)
    assert "secret" not in caplog.text  # it may be a memory
    assert "RuntimeError" in caplog.text


def test_being_busy_says_when_to_come_back() -> None:
    answer = Busy("All full.", retry_seconds=7).response()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_a_mistake_becomes_a_problem_with_safe_headers(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(aspen.repository, "conversations", broken)
    app = create_app(aspen, settings=ServerSettings(), warm=False)
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/conversations")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in answer.headers
    assert "secret" not in answer.text


def test_unknown_paths_and_methods_are_problems(client: TestClient) -> None:
    assert client.get("/api/v1/nothing").json()["error"] == "NotFound"
    for path, methods in (
        ("recall", "POST"),
        ("memories", "GET, POST"),
        ("memories/m_0", "DELETE, GET, PATCH"),
        ("memories/forget", "POST"),
    ):
        answer = client.put(f"/api/v1/{path}", json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert answer.json()["error"] == "MethodNotAllowed"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"prompt": ' + b"1" * 5000 + b"}", b""])
def test_what_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/v1/recall", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert Problem.model_validate(answer.json())


def test_half_a_character_is_refused_and_the_problem_can_be_read(client: TestClient) -> None:
    body = b'{"prompt": "\\ud800"}'
    answer = client.post("/api/v1/recall", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_a_refused_body_names_the_field_and_not_what_was_sent(client: TestClient) -> None:
    answer = client.post("/api/v1/memories", json={"items": [{"text": "a", "importance": "a secret"}]})
    assert answer.status_code == 422
    assert "importance" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_fields_that_there_are_not_and_kinds_that_are_others_are_refused(client: TestClient) -> None:
    for body in ({"prompt": "a", "limt": 3}, {"prompt": "a", "limit": "3"}, {"prompt": "a", "limit": 3.5}):
        assert client.post("/api/v1/recall", json=body).status_code == 422
    assert client.post("/api/v1/recall", json={"prompt": "a", "limit": 3.0}).status_code == 200
