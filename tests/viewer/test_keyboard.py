"""The main path of a person with nothing but a keyboard: the focus is always seen, and never lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen

_MOST = 150  # presses of Tab to anything on a page
_SEEN = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect();
  const shown = (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  // A radio button or a tick may be drawn by what stands beside it.
  const near = [one, one.nextElementSibling, one.parentElement].filter(Boolean);
  const marked = near.some((part) => shown(getComputedStyle(part)));
  return { what: one.outerHTML.slice(0, 120), marked, size: box.width * box.height,
    within: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
}"""


@pytest.fixture(scope="module")
def filled(aspen: Aspen) -> Aspen:
    """A few memories with a relation, so that activation has somewhere to go."""
    first = aspen.remember("My sister Mara moved to Lisbon.", speaker="Ann", conversation="notes")
    second = aspen.remember("Lisbon lies by the sea.", speaker="Ann", conversation="notes")
    third = aspen.remember("The sea is cold in May.", speaker="Ann", conversation="notes")
    aspen.relate(first.id, second.id, "supports", weight=0.9)
    aspen.relate(second.id, third.id, "supports", weight=0.9)
    return aspen


@pytest.fixture
def opened(served: Serve, filled: Aspen) -> Opened:
    return served(filled)


def tab_to(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Press Tab until it has the focus. Wherever the focus is on the way, it is to be seen."""
    expect(wanted).to_be_visible()
    for _ in range(_MOST):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        now = page.evaluate(_SEEN)
        if now is None:  # between the last one and the first
            continue
        assert now["marked"] and now["within"] and now["size"] > 0, now
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached with Tab")


def press(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Go there and press Enter."""
    tab_to(page, wanted, back=back)
    page.keyboard.press("Enter")


def kept(page: Page) -> None:
    """The focus is somewhere on the page, or in the window over it."""
    page.wait_for_function("() => document.activeElement !== document.body", timeout=10_000)


def test_talk_see_why_play_the_hops_walk_a_trace_correct_and_forget(opened: Opened, filled: Aspen) -> None:
    page = opened.go("/conversation/family")
    expect(page.locator(".busy")).to_have_count(0)
    while page.evaluate(_SEEN) is None:  # a busy browser may not listen yet
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    tab_to(page, page.get_by_label("Message", exact=True))
    page.keyboard.type("Where does my sister live?")
    page.keyboard.press("Enter")
    expect(page.locator(".why .given")).to_contain_text("Lisbon")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()

    press(page, page.get_by_role("link", name="Why these?"), back=True)
    expect(page.locator("main")).to_be_focused()
    expect(page.locator(".hits")).to_contain_text("Lisbon")
    scores = page.locator(".hits summary").first
    press(page, scores)
    expect(page.locator(".score-table").first).to_be_visible()
    expect(scores).to_be_focused()

    press(page, page.get_by_role("link", name="Play the hops"), back=True)
    expect(page.locator("main")).to_be_focused()
    player = page.get_by_label("The spreading, hop by hop")
    telling = player.locator(".telling")
    tab_to(page, player.get_by_role("slider"))
    page.keyboard.press("Home")
    expect(telling).to_contain_text("Found:")
    onward = player.get_by_role("button", name="On to the next hop")
    press(page, onward, back=True)
    expect(telling).to_contain_text("Hop 1:")
    expect(onward).to_be_focused()
    page.keyboard.press("Enter")
    expect(telling).to_contain_text("Hop 2:")

    press(page, page.get_by_role("navigation", name="Pages").get_by_role("link", name="Trace"), back=True)
    expect(page.locator("main")).to_be_focused()
    press(page, page.locator("tbody a").first)
    expect(page.get_by_role("heading", name="Trace", exact=True)).to_be_visible()
    kept(page)
    heat = page.get_by_role("application")
    tab_to(page, heat)
    for key, told in (("ArrowRight", "column 1 "), ("ArrowRight", "column 2 "), ("ArrowDown", "column 2 ")):
        page.keyboard.press(key)
        expect(page.locator(".reading")).to_contain_text(told)
    expect(heat).to_be_focused()

    press(page, page.get_by_role("navigation", name="Pages").get_by_role("link", name="Memories"), back=True)
    expect(page.locator("main")).to_be_focused()
    tab_to(page, page.get_by_label("Words in it"))
    page.keyboard.type("sister Mara moved")
    found = page.locator(".found-memory a")
    expect(found).to_have_count(1)
    press(page, found)
    kept(page)

    press(page, page.get_by_role("button", name="Correct"))
    dialog = page.get_by_role("dialog")
    tab_to(page, dialog.get_by_label("What holds instead"))
    page.keyboard.press("Control+A")
    page.keyboard.type("My sister Mara moved to Porto.")
    press(page, dialog.get_by_role("button", name="Correct", exact=True))
    expect(dialog).to_have_count(0)
    expect(page.locator(".memory-text")).to_contain_text("Porto")
    kept(page)
    newer = page.url.rsplit("/", 1)[1]

    press(page, page.get_by_role("button", name="Forget"))
    expect(dialog).to_contain_text("This cannot be undone")
    press(page, dialog.get_by_role("button", name="Forget", exact=True))
    expect(page).to_have_url(re.compile("/memories$"))
    kept(page)
    assert not filled.repository.known([newer])


def test_windows_keep_the_focus_and_give_it_back(opened: Opened, filled: Aspen) -> None:
    memory = filled.page(text="The sea is cold").memories[0]
    page = opened.go(f"/memories/{memory.id}")
    for name in ("Correct", "Edit", "Relate", "Forget"):
        button = page.get_by_role("button", name=name)
        press(page, button)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        for _ in range(12):
            page.keyboard.press("Tab")
            assert page.evaluate(
                "() => document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
            )
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(button).to_be_focused()


def test_a_memory_is_found_in_the_graph_and_its_neighbours_loaded(opened: Opened) -> None:
    page = opened.go("/graph")
    tab_to(page, page.get_by_label("Find a memory in the graph"))
    page.keyboard.type("by the sea")
    press(page, page.locator(".finder li button").first)
    details = page.get_by_label("The chosen memory")
    expect(details).to_contain_text("Lisbon lies by the sea")
    kept(page)
    press(page, details.get_by_role("button", name="Load its neighbours"))
    expect(page.get_by_text("All of its neighbours are here already.")).to_be_visible()
    kept(page)
    press(page, details.get_by_role("button", name="Close"), back=True)
    expect(details).to_have_count(0)
    kept(page)
