"""Nothing that a person said, typed or looked at is lost by leaving a page, a second tab, or a slip of the mouse."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen, Config, MemoryItem
from aspen.testing.fake_model import FakeModel


def answer(prompt: str) -> str:
    """Takes its time where it is asked to."""
    if "slowly" in prompt:
        time.sleep(2)
    return "Very well."


@pytest.fixture(scope="module")
def aspen(viewer_config: Config) -> Iterator[Aspen]:
    with Aspen.open(":memory:", model=FakeModel(say=answer), config=viewer_config) as aspen:
        aspen.remember_many([MemoryItem(f"Notice {number} from the board.") for number in range(120)])
        yield aspen


@pytest.fixture
def opened(served: Serve, aspen: Aspen) -> Opened:
    return served(aspen)


def test_a_reply_goes_on_while_another_page_is_shown(opened: Opened) -> None:
    page = opened.go("/conversation/leaving")
    page.get_by_label("Message", exact=True).fill("Say it slowly.")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("slowly")
    page.get_by_role("link", name="Health").click()
    page.get_by_role("heading", name="Health", exact=True).wait_for()
    page.go_back()
    expect(page.locator("article.turn:has(.why) .reply")).to_contain_text("Very well.")
    expect(page.locator("article.turn")).to_have_count(1)


def test_earlier_turns_stay_when_something_is_said(opened: Opened, aspen: Aspen) -> None:
    for number in range(30):
        aspen.remember(f"Line {number}.", conversation="long", speaker="Ann")
    page = opened.go("/conversation/long")
    turns = page.locator("article.turn")
    expect(turns).to_have_count(20)
    page.get_by_role("button", name="Show earlier turns").dblclick()
    expect(turns).to_have_count(30)
    opened.say("And one more.")
    expect(turns).to_have_count(31)
    lines = [re.findall(r"Line (\d+)\.", text) for text in turns.all_inner_texts()[:-1]]
    assert [int(found[0]) for found in lines] == list(range(30))


def test_an_imported_reply_does_not_claim_to_know_how_it_came_about(opened: Opened, aspen: Aspen) -> None:
    aspen.remember("Where is the key?", conversation="imported", speaker="user")
    aspen.remember("Under the mat.", conversation="imported", speaker="assistant")
    page = opened.go("/conversation/imported")
    expect(page.locator(".why")).to_contain_text("Nothing is known of how this reply came about")


def test_an_edit_survives_that_somebody_else_was_faster(opened: Opened, aspen: Aspen) -> None:
    memory = aspen.remember("The office is on the second floor.", tags=["house, garden", "office"])
    page = opened.go(f"/memories/{memory.id}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Feeling").fill("calm")
    aspen.amend(memory.id, importance=0.9)
    save = page.get_by_role("button", name="Save", exact=True)
    save.click()
    page.get_by_role("button", name="Keep what stands here").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    save.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    (now,) = aspen.repository.get([memory.id])
    assert now.emotion is not None
    assert (now.emotion.label, now.tags) == ("calm", ("house, garden", "office"))
    opened.expect_answer(412)


def test_a_text_that_is_marked_beyond_the_window_does_not_close_it(opened: Opened, aspen: Aspen) -> None:
    page = opened.go(f"/memories/{aspen.page(limit=1).memories[0].id}")
    page.get_by_role("button", name="Correct").click()
    field = page.get_by_label("What holds instead")
    field.fill("Something that took a while to write.")
    box = field.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(4, 4)
    page.mouse.up()
    expect(field).to_have_value("Something that took a while to write.")


def test_the_list_keeps_its_page_and_its_place(opened: Opened) -> None:
    page = opened.go("/memories?text=Notice&sort=oldest")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("status").first).to_contain_text("page 2 of 3")
    link = page.get_by_role("link", name="Notice 90 from")
    link.scroll_into_view_if_needed()
    scrolled = page.evaluate("() => scrollY")
    assert scrolled > 0
    link.click()
    expect(page.locator(".memory-text")).to_contain_text("Notice 90")
    expect(page).to_have_title(re.compile(r"^Memories: m_"))
    assert page.evaluate("() => document.activeElement.id") == "content"
    page.go_back()
    expect(link).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("page 2 of 3")
    page.wait_for_function("place => Math.abs(scrollY - place) < 2", arg=scrolled)
    page.get_by_role("link", name="Memories", exact=True).click()
    expect(page.get_by_label("Words in it")).to_have_value("")
