"""Memories that are HTML, SVG, a script or a line of 100 kB: on every page they are text, and nothing else happens."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import expect
from tests.viewer.conftest import Serve

from aspen import Aspen

HOSTILE = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror=\"window.hit = 1\">",
    "<svg onload=\"window.hit = 1\"><a href=\"javascript:window.hit=1\">x</a></svg>",
    "</textarea></title><iframe srcdoc=\"<script>parent.hit=1</script>\"></iframe>",
    "javascript:window.hit=1",
    "${window.hit = 1} {{constructor.constructor('window.hit=1')()}}",
    "\u202egnp.exe \u2066 \u0301\u0301\u0301 \U0001f469\u200d\U0001f469\u200d\U0001f467",
)  # fmt: skip
LONG = "A line without an end ".ljust(100_000, "x")
NAME = "<b onmouseover=alert(1)>Ann</b>"


@pytest.fixture(scope="module")
def hostile(aspen: Aspen) -> Aspen:
    texts = [*HOSTILE, LONG]
    made = [aspen.remember(text, speaker=NAME, conversation=NAME, tags=[NAME]) for text in texts]
    for one, other in pairwise(made):
        aspen.relate(one.id, other.id, "supports")
    aspen.chat(HOSTILE[0], conversation=NAME, seed=1, max_tokens=24, note_tokens=900)
    return aspen


def test_nothing_that_a_memory_says_is_run(served: Serve, hostile: Aspen) -> None:
    opened = served(hostile)
    page = opened.page
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    trace = hostile.repository.traces(limit=1)[0].id
    ids = [hostile.page(text=text[:20]).memories[0].id for text in (HOSTILE[0], HOSTILE[1])]
    addresses = [
        "/conversation", "/recall?prompt=%3Cscript%3E", "/graph?prompt=script", f"/graph/{ids[0]}", f"/trace/{trace}",
        "/memories", "/memories/duplicates", "/memories/links", *(f"/memories/{id_}" for id_ in ids), "/health",
        "/conversation/%3Cimg%20src=x%20onerror=window.hit=1%3E",
    ]  # fmt: skip
    for address in addresses:
        opened.go(address)
        expect(page.locator(".busy")).to_have_count(0)
        assert page.evaluate("() => window.hit") is None, address
        assert (
            page.locator("main img, main iframe, main script, main [onerror], main [onload]").count() == 0
        ), address


def test_a_text_of_markup_is_shown_letter_by_letter(served: Serve, hostile: Aspen) -> None:
    page = served(hostile).go("/memories?sort=oldest")
    for text in HOSTILE[:3]:
        expect(page.get_by_text(text, exact=True).first).to_be_visible()


def test_a_line_of_100_kb_is_cut_and_can_be_seen_whole(served: Serve, hostile: Aspen) -> None:
    memory = hostile.page(text="A line without an end").memories[0]
    page = served(hostile).go(f"/memories/{memory.id}")
    more = page.get_by_role("button", name="Show all 100,000 characters")
    expect(more).to_be_visible()
    assert len(page.locator(".all-words").inner_text()) < 5_000
    more.click()
    expect(page.locator(".all-words")).to_have_text(LONG)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
