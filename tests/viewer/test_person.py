"""The whole way of a person, with the bundled model: chat, see why, play the hops, open the trace, correct, forget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen
from aspen.demo import CREATOR
from aspen.interchange import import_file

pytestmark = pytest.mark.slow


@pytest.fixture
def bundled(tmp_path: Path) -> Iterator[Aspen]:
    """The memories of a character, beside which a person talks."""
    with Aspen.open(tmp_path / "person.db", model="bundled") as aspen:
        import_file(aspen, CREATOR)
        yield aspen


def ask(opened: Opened, conversation: str, message: str) -> Locator:
    """Say something in a new conversation, to be answered by the likeliest tokens; the reply's turn."""
    page = opened.go(f"/conversation/{conversation}")
    page.get_by_text("How it answers").click()
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Longest reply").fill("32")
    return opened.say(message)


def test_chat_see_why_correct_ask_again_and_forget(served: Serve, bundled: Aspen) -> None:
    opened = served(bundled)
    page = opened.page
    ask(opened, "family", "My sister Mara moved to Lisbon in March.")

    turn = ask(opened, "later", "Where does my sister Mara live?")
    why = turn.locator(".why")
    expect(why.locator(".given")).to_contain_text("Lisbon")
    expect(turn.locator(".reply")).to_contain_text("Lisbon")

    why.get_by_role("link", name="Why these?").click()
    expect(page.locator(".hits")).to_contain_text("Lisbon", timeout=120_000)
    page.get_by_role("link", name="Play the hops").click()
    player = page.get_by_label("The spreading, hop by hop")
    expect(player).to_be_visible(timeout=120_000)
    player.get_by_role("slider").fill("1")
    expect(player.locator(".telling")).to_contain_text("Hop 1:")

    opened.go("/conversation/later")
    page.locator(".why").last.get_by_role("link", name="Open trace").click()
    expect(page.get_by_role("application")).to_be_visible(timeout=180_000)

    told = next(one for one in bundled.page(text="Lisbon in March").memories if one.provenance == "said")
    opened.go(f"/memories/{told.id}")
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("What holds instead").fill("My sister Mara moved to Porto in March.")
    page.get_by_role("dialog").get_by_role("button", name="Correct", exact=True).click()
    expect(page.locator(".memory-text")).to_contain_text("Porto", timeout=120_000)
    newer = page.url.rsplit("/", 1)[1]

    turn = ask(opened, "again", "Where does my sister Mara live?")
    expect(turn.locator(".why .given")).to_contain_text("Porto")
    expect(turn.locator(".reply")).to_contain_text("Porto")

    opened.go(f"/memories/{newer}")
    page.get_by_role("button", name="Forget").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This cannot be undone")
    expect(dialog).to_contain_text("What it corrected holds again")
    dialog.get_by_role("button", name="Forget", exact=True).click()
    expect(page).to_have_url(re.compile("/memories$"))
    assert not bundled.repository.known([newer])
    page.get_by_label("Words in it").fill("moved to Porto in March")
    expect(page.get_by_role("heading", name="No memory fits")).to_be_visible()
