from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.front_door import facts, related
from tests.unit.server.test_traces_api import ended

from aspen import Aspen
from aspen.server.api import transfer
from aspen.server.api.transfer import _Abandoned, _Pipe

LINES = b"".join(json.dumps({"text": f"Line {number}."}).encode() + b"\n" for number in range(300))
JSONL = {"content-type": "application/x-ndjson"}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files that are sent wait."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def imported(client: TestClient, body: bytes, **query: str) -> dict[str, Any]:
    answer = client.post("/api/v1/import", content=body, headers=JSONL, params=query)
    assert answer.status_code == 202, answer.text
    return ended(client, answer.json())


def test_a_file_is_imported_with_progress_and_nothing_of_it_is_left(
    client: TestClient, aspen: Aspen, temporary: Path
) -> None:
    job = imported(client, LINES, name="notes.jsonl", conversation="notes")
    assert (job["state"], job["done"], job["total"]) == ("done", 1, 1)
    assert (job["result"]["format"], job["result"]["stored"], job["result"]["bad"]) == ("plain", 300, 0)
    assert aspen.repository.list(limit=1)[0].source == "notes.jsonl:300"
    assert aspen.repository.list(limit=1)[0].conversation == "notes"
    assert list(temporary.iterdir()) == []


def test_the_same_file_adds_nothing(client: TestClient) -> None:
    assert imported(client, LINES)["result"]["stored"] == 300
    again = imported(client, LINES)["result"]
    assert (again["stored"], again["already_there"]) == (0, 300)


def test_a_file_that_cannot_be_read_is_a_job_that_failed(client: TestClient, temporary: Path) -> None:
    job = imported(client, b"what is this?\n")
    assert (job["state"], job["problem"]["error"]) == ("failed", "InvalidInput")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["../x.jsonl", "/etc/x", "a/b", ".", "..", "a\x00b", "a\nb"])
def test_the_name_of_a_file_leads_nowhere(client: TestClient, temporary: Path, name: str) -> None:
    answer = client.post("/api/v1/import", content=LINES, headers=JSONL, params={"name": name})
    assert answer.status_code == 422
    assert list(temporary.iterdir()) == []


def test_nothing_and_kinds_of_files_that_are_none_are_refused(client: TestClient, temporary: Path) -> None:
    assert client.post("/api/v1/import", content=b"", headers=JSONL).status_code == 422
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        answer = client.post("/api/v1/import", content=LINES, headers={"content-type": kind})
        assert answer.status_code == 415
    assert list(temporary.iterdir()) == []


def test_what_is_exported_can_be_imported(client: TestClient, aspen: Aspen, config: Any) -> None:
    related(aspen)
    facts(aspen)
    exported = client.get("/api/v1/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert "aspen_export" in lines[0]
    assert sum("text" in line for line in lines) == aspen.repository.stats().memories
    texts = {memory.text for memory in aspen.repository.list(limit=1000)}
    aspen.forget(*(memory.id for memory in aspen.repository.list(limit=1000)))
    assert imported(client, exported.content)["result"]["relations_stored"] == 2
    assert {memory.text for memory in aspen.repository.list(limit=1000)} == texts


def test_a_conversation_that_there_is_not_is_refused_before_the_export_begins(client: TestClient) -> None:
    assert client.get("/api/v1/export", params={"conversation": "none"}).status_code == 404


def test_a_long_export_comes_in_pieces(
    client: TestClient, aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts(aspen)
    monkeypatch.setattr(transfer, "_CHUNK", 200)
    whole = client.get("/api/v1/export").text
    with client.stream("GET", "/api/v1/export") as answer:
        pieces = list(answer.iter_raw())
    assert len(pieces) >= 5
    assert len(b"".join(pieces)) == len(whole)


def test_who_reads_an_export_that_was_given_up_is_let_go() -> None:
    pipe = _Pipe()
    pipe.write("x" * 100_000)
    pipe.abandoned.set()
    with pytest.raises(_Abandoned):
        pipe.write("x" * 100_000)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(pipe.take).result(timeout=5) == b"x" * 100_000
        assert pool.submit(pipe.take).result(timeout=5) == b""  # nobody will write any more
