"""A store without memories: each page teaches the next step."""

from __future__ import annotations

from playwright.sync_api import expect
from tests.viewer.conftest import Serve

from aspen import Aspen


def test_an_empty_store_teaches_the_next_step(served: Serve, aspen: Aspen) -> None:
    opened = served(aspen)
    for path, words in {
        "conversation": "Nothing was said here yet",
        "graph": "There is nothing to draw yet",
        "trace": "No trace yet",
        "memories": "Nothing is remembered yet",
        "memories/duplicates": "No two memories say the same",
        "memories/links": "No link has grown yet",
    }.items():
        expect(opened.go(f"/{path}").get_by_role("heading", name=words)).to_be_visible()
