from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from aspen.server.static import PAGES, add_pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "lib").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Aspen</title>")
    (folder / "main.js").write_text("export {};")
    (folder / "lib" / "graph.mjs").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = FastAPI()
    add_pages(app, folder=folder)
    with TestClient(app) as client:
        yield client


def test_the_page_is_at_every_address_that_it_has(client: TestClient) -> None:
    for path in ("/", *(f"/{name}" for name in PAGES), "/trace/t_1", "/memories/m_1/history"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "Aspen" in answer.text
    assert client.get("/nothing").status_code == 404


def test_files_have_kinds_that_browsers_take_and_hashes(client: TestClient, folder: Path) -> None:
    answer = client.get("/static/main.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert client.get("/static/lib/graph.mjs").headers["content-type"].startswith("text/javascript")
    etag = answer.headers["etag"]
    again = client.get("/static/main.js", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    (folder / "main.js").write_text("export const changed = 1;")
    changed = client.get("/static/main.js", headers={"if-none-match": etag})
    assert (changed.status_code, changed.headers["etag"] != etag) == (200, True)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "lib/../../secret.txt",
        "%2e%2e%5csecret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "link.txt",
        "lib",
        "",
        "nothing.js",
        "main.js%00.png",
    ],
)
def test_nothing_outside_the_folder_is_served(client: TestClient, path: str) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_where_there_is_no_page_it_says_how_to_get_it(tmp_path: Path) -> None:
    app = FastAPI()
    add_pages(app, folder=tmp_path / "none")
    with TestClient(app) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "pip install" in answer.text
    assert "style" not in answer.text  # the policy would not let it through
