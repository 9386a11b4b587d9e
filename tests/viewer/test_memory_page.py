"""The page of one memory: changes of what somebody else changed meanwhile, and what it stands between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen, Config
from aspen.testing.fake_model import FakeModel
from aspen.types import Relation, RelationType


@pytest.fixture(scope="module")
def aspen(viewer_config: Config) -> Iterator[Aspen]:
    with Aspen.open(":memory:", model=FakeModel(), config=viewer_config) as aspen:
        yield aspen


@pytest.fixture
def opened(served: Serve, aspen: Aspen) -> Opened:
    return served(aspen)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def answer(page: Page, name: str) -> None:
    """Press a button of the window that is open."""
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def test_changes_name_the_version_they_are_based_on(opened: Opened, aspen: Aspen) -> None:
    memory = aspen.remember("The office is on the second floor.", tags=["office"])
    aspen.amend(memory.id, importance=0.7)
    page = opened.go(f"/memories/{memory.id}")
    press(page, "Correct")
    page.get_by_label("What holds instead").fill("The office is on the third floor.")
    with page.expect_request(f"**/memories/{memory.id}/correct") as corrected:
        answer(page, "Correct")
    assert corrected.value.headers["if-match"] == '"2"'
    expect(page.locator(".memory-text")).to_contain_text("third floor")

    newer = page.url.rsplit("/", 1)[1]
    press(page, "Forget")
    with page.expect_request(lambda request: request.method == "DELETE") as forgotten:
        answer(page, "Forget")
    assert forgotten.value.headers["if-match"] == '"1"'
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not aspen.repository.known([newer])


def test_a_correction_survives_that_somebody_else_was_faster(opened: Opened, aspen: Aspen) -> None:
    memory = aspen.remember("The cellar is dry.")
    page = opened.go(f"/memories/{memory.id}")
    press(page, "Correct")
    field = page.get_by_label("What holds instead")
    field.fill("The cellar is wet.")
    aspen.amend(memory.id, importance=0.9)
    answer(page, "Correct")
    trouble = page.get_by_role("dialog").get_by_role("alert")
    expect(trouble).to_contain_text("meanwhile")
    opened.expect_answer(412)
    expect(field).to_have_value("The cellar is wet.")
    trouble.get_by_role("button", name="Keep what stands here").click()
    expect(trouble).to_have_count(0)
    answer(page, "Correct")
    expect(page.locator(".memory-text")).to_contain_text("The cellar is wet.")


def test_what_changed_meanwhile_is_looked_at_before_it_is_forgotten(opened: Opened, aspen: Aspen) -> None:
    memory = aspen.remember("The attic is empty.")
    page = opened.go(f"/memories/{memory.id}")
    press(page, "Forget")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This cannot be undone")
    aspen.amend(memory.id, tags=["keep this one"])
    answer(page, "Forget")
    expect(dialog.get_by_role("alert")).to_contain_text("meanwhile")
    opened.expect_answer(412)
    assert aspen.repository.known([memory.id])
    answer(page, "Look at it as it is now")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    expect(dialog).to_contain_text("#keep this one")
    answer(page, "Forget")
    expect(dialog).to_have_count(0)
    assert not aspen.repository.known([memory.id])


def test_whoever_leaves_a_refused_change_sees_what_changed(opened: Opened, aspen: Aspen) -> None:
    memory = aspen.remember("The roof is new.")
    page = opened.go(f"/memories/{memory.id}")
    press(page, "Edit")
    aspen.amend(memory.id, tags=["roof"])
    answer(page, "Save")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("meanwhile")
    opened.expect_answer(412)
    answer(page, "Leave it")
    expect(page.get_by_label("About it")).to_contain_text("roof")


def test_a_link_that_grew_by_use_is_there_once(opened: Opened, aspen: Aspen) -> None:
    one, other, third = (aspen.remember(f"The {what} is in the shed.") for what in ("rake", "spade", "hose"))
    kind = RelationType.CO_ACTIVATED
    aspen.relate_many(
        [
            Relation(one.id, other.id, kind, weight=0.4),
            Relation(other.id, one.id, kind, weight=0.4),
            Relation(one.id, third.id, kind, weight=0.5),
            Relation(third.id, one.id, kind, weight=0.3),
            Relation(one.id, third.id, RelationType.SUPPORTS, weight=0.2),
            Relation(third.id, one.id, RelationType.SUPPORTS, weight=0.2),
        ]
    )
    page = opened.go(f"/memories/{one.id}")
    grown = page.locator("li.relation", has_text="co activated")
    expect(grown).to_have_count(2)
    expect(grown.filter(has_text="spade")).to_contain_text("↔ co activated weight 0.40")
    expect(grown.filter(has_text="hose")).to_contain_text("weight 0.50, back 0.30")
    expect(page.locator("li.relation", has_text="supports")).to_have_count(2)

    opened.go(f"/graph/{one.id}")
    neighbours = page.locator(".neighbours li")
    expect(neighbours.filter(has_text="co activated")).to_have_count(2)
    expect(neighbours.filter(has_text="supports")).to_have_count(2)
