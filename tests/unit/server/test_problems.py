from __future__ import annotations

import inspect
import re
from pathlib import Path
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


def test_hints_fit_a_client_of_the_api_as_well() -> None:
    """What a command would be is named beside what there is to do: not in its place."""
    package = Path(errors.__file__).parent
    of_commands = ("cli", "demo", "benchmarks", "testing", "doctor")
    hints = [
        line.strip()
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in of_commands and path.name != "running.py"
        for line in path.read_text().splitlines()
        if "hint" in line
    ]
    assert len(hints) > 200
    assert [hint for hint in hints if re.search(r"(?<!\()`aspen |--\w+(?![^(]*`\))", hint)] == []


def test_what_is_not_there_says_where_ids_are_found(client: TestClient) -> None:
    told = client.get("/api/v1/memories/m_0").json()
    assert told["hint"] == "Give the id whole, as it stands in the list of memories (`aspen list`)."


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
        ("api/v1/recall", "POST"),
        ("api/v1/memories", "GET, HEAD, POST"),
        ("api/v1/memories/m_0", "DELETE, GET, HEAD, PATCH"),
        ("api/v1/memories/forget", "POST"),
        ("", "GET, HEAD"),
    ):
        answer = client.put(f"/{path}", json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
        assert answer.json()["hint"] == f"This path takes {methods}."
    assert answer.json()["error"] == "MethodNotAllowed"


@pytest.mark.parametrize(
    "path", ["/api/v1/live", "/api/v1/memories", "/api/v1/openapi.json", "/", "/memories"]
)
def test_head_answers_as_get_does_without_a_body(client: TestClient, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers == whole.headers
    assert client.head("/api/v1/memories/m_0").status_code == 404
    assert client.head("/api/v1/recall").status_code == 405


def test_parameters_that_there_are_not_are_refused_on_every_route(client: TestClient) -> None:
    answer = client.get("/api/v1/memories", params={"typ": "belief", "limit": 3})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    told = answer.json()
    assert "'typ'" in told["detail"] and "type" in told["hint"]
    assert told["details"]["parameter"] == "typ"
    assert {"type", "limit", "cursor", "min_priority"} <= set(told["details"]["known"])
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            answer = client.request(method, path.replace("{", "").replace("}", ""), params={"nothing": 1})
            assert (answer.status_code, answer.json()["error"]) == (422, "InvalidInput"), path
            assert answer.json()["details"]["parameter"] == "nothing"


def test_a_body_of_which_nothing_is_needed_may_be_left_out(client: TestClient, aspen: Aspen) -> None:
    trace = aspen.chat("Where is Mara?").trace_id
    old = aspen.remember("Mara lives in Lisbon.")
    aspen.correct(old.id, "Mara lives in Porto.")
    for path in (f"memories/{old.id}/restore", "doctor", "rekey", "summarise", f"traces/{trace}/replay"):
        assert client.post(f"/api/v1/{path}").status_code in (200, 202), path
        of_json = client.post(f"/api/v1/{path}", headers={"content-type": "application/json"})
        assert of_json.status_code in (200, 202) or "it holds" in of_json.json()["detail"]  # restored already
        foreign = client.post(f"/api/v1/{path}", headers={"content-type": "text/plain"})
        assert foreign.status_code == 415
        assert client.post(f"/api/v1/{path}", content=b"{}").status_code == 415
    operation = client.get("/api/v1/openapi.json").json()["paths"]["/api/v1/doctor"]["post"]
    assert not operation["requestBody"].get("required", False)
    told = client.post("/api/v1/recall").json()
    expected = "This takes application/json, and the request does not say what its body is."
    assert (told["status"], told["detail"]) == (415, expected)


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
