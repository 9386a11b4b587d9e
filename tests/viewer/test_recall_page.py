"""The pages of recall and of health: what they show of arms, times and jobs, and what they keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen, Config
from aspen.testing.fake_model import FakeModel

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
UNTIL = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def filled(aspen: Aspen) -> Aspen:
    """Twelve memories, one a day."""
    for day in range(1, 13):
        aspen.remember(
            f"On day {day} my sister Mara watered plant number {day}.",
            speaker="Ann",
            conversation="plants",
            said_at=datetime(2026, 3, day, 9, tzinfo=UTC),
        )
    return aspen


@pytest.fixture
def opened(served: Serve, filled: Aspen) -> Opened:
    return served(filled)


@pytest.fixture
def empty(viewer_config: Config) -> Iterator[Aspen]:
    with Aspen.open(":memory:", model=FakeModel(), config=viewer_config) as aspen:
        yield aspen


def test_all_candidates_of_an_arm_are_shown_when_asked_for(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister&limit=25")
    arm = page.locator(".arm", has=page.get_by_role("heading", name="Keyword"))
    expect(arm.locator("tbody tr")).to_have_count(8)
    arm.get_by_role("button", name="Show all 12").click()
    expect(arm.locator("tbody tr")).to_have_count(12)
    arm.get_by_role("button", name="Show the first 8").click()
    expect(arm.locator("tbody tr")).to_have_count(8)


def test_a_memory_in_focus_is_marked_in_all_arms(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister&limit=25")
    more = page.get_by_role("button", name="Show all 12")
    expect(more.first).to_be_visible()
    for _ in range(more.count()):
        more.first.click()
    expect(more).to_have_count(0)
    page.mouse.move(0, 0)  # so that it is the focus alone that marks
    arms = page.locator(".arm").count()
    page.locator(".arm tbody a").last.focus()
    expect(page.locator(".arm tr.marked")).to_have_count(arms)
    expect(page.locator(".hits > li.marked")).to_have_count(1)
    page.get_by_label("Prompt").focus()
    expect(page.locator(".marked")).to_have_count(0)


def test_scores_and_boosts_have_their_unit_in_sight(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister")
    expect(page.get_by_label("Hits").get_by_text(f"in standard deviations ({SIGMA})")).to_be_visible()
    expect(page.locator(".arm header").first).to_contain_text(SIGMA)
    expect(page.get_by_role("heading", name="Boost by type")).to_be_visible()
    assert page.evaluate(
        """() => {
          const below = document.querySelector(".below-field").getBoundingClientRect();
          return below.top - document.querySelector(".controls select").getBoundingClientRect().bottom;
        }"""
    ) >= 6  # fmt: skip


def test_a_recall_of_a_time_says_so_and_goes_back_to_all(opened: Opened) -> None:
    page = opened.go(f"/recall?prompt=sister&limit=25&until={quote(UNTIL.isoformat())}&since=2026-03-01")
    expect(page.locator(".hits > li")).to_have_count(2)
    told = page.get_by_text("only what was known")
    expect(told).to_contain_text(re.compile(r"from 1 Mar 2026, .* on and before 2 Mar 2026, "))
    expect(page.get_by_role("link", name="Play the hops")).to_have_attribute("href", re.compile("until=2026"))
    page.get_by_label("Left after each hop").fill("0.1")
    expect(page).to_have_url(re.compile("decay=0.1"))
    expect(page).to_have_url(re.compile("until=2026-03-02"))
    page.get_by_role("link", name="all memories, of any time").click()
    expect(page.locator(".hits > li")).to_have_count(12)
    expect(told).to_have_count(0)
    expect(page).not_to_have_url(re.compile("until|since"))


def test_what_is_no_time_in_an_address_is_left_out(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister&limit=25&until=yesterday&since=2026-99-99")
    expect(page.locator(".hits > li")).to_have_count(12)
    expect(page.get_by_text("only what was known")).to_have_count(0)


def test_an_empty_store_is_not_put_down_to_filters(served: Serve, empty: Aspen) -> None:
    page = served(empty).go("/recall?prompt=sister")
    expect(page.get_by_role("heading", name="Nothing is remembered yet")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="import memories")).to_be_visible()


def test_types_that_nothing_has_are_named_as_the_reason(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister&types=belief")
    expect(page.get_by_role("heading", name="Nothing came back")).to_be_visible()
    expect(page.get_by_text("Allow more types, or import memories.")).to_be_visible()


def test_a_link_can_be_copied_where_the_clipboard_is_not_given(opened: Opened) -> None:
    opened.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page = opened.go("/recall?prompt=sister")
    page.get_by_role("button", name="Copy link").click()
    field = page.get_by_label("The link, to be copied from here")
    expect(field).to_be_focused()
    expect(field).to_have_value(page.url)
    assert page.evaluate("() => getSelection().toString()") == page.url


def test_health_names_what_encodes(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister")
    expect(page.locator(".hits")).to_be_visible()
    keys = opened.go("/health").get_by_label("Model and keys")
    expect(keys).to_contain_text("activations of fake-0")
    expect(keys).to_contain_text(re.compile(r"Vector embedder\s*(none|known once the model is loaded)"))


def test_findings_of_the_doctor_are_kept_on_other_pages(opened: Opened) -> None:
    page = opened.go("/health")
    page.get_by_role("button", name="Examine").click()
    expect(page.locator(".findings li").first).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Memories").first.click()
    expect(page.locator(".findings")).to_have_count(0)
    page.get_by_role("navigation").get_by_role("link", name="Health").first.click()
    expect(page.locator(".findings li").first).to_be_visible()
    expect(page.get_by_text("As it was on")).to_be_visible()


def test_days_are_those_that_the_server_counted(served: Serve, filled: Aspen) -> None:
    opened = served(filled, timezone_id="America/Los_Angeles")
    days = [{"day": f"2026-03-{day:02}", "memories": 1, "traces": 0} for day in (1, 2)]
    opened.page.route("**/api/v1/growth*", lambda route: route.fulfill(json={"items": days}))
    page = opened.go("/health")
    expect(page.get_by_label("Growth").locator("figcaption")).to_have_text("1 Mar 20262 Mar 2026")


def test_a_job_tells_its_share_and_that_it_cannot_be_stopped(opened: Opened) -> None:
    job = {
        "id": "j_1",
        "kind": "import",
        "state": "running",
        "done": 0.3343,
        "total": 1.0,
        "unit": "share of the file",
    }
    told = {
        **job,
        "message": "line 3,400",
        "created_at": "2026-03-01T10:00:00Z",
        "problem": None,
        "result": None,
    }

    def answer(route: Route) -> None:
        if route.request.method == "DELETE":
            route.abort()
        else:
            route.fulfill(json={"items": [told]})

    opened.page.route(re.compile(r"/api/v1/jobs"), answer)
    page = opened.go("/health")
    jobs = page.get_by_label("Jobs")
    expect(jobs.locator(".progress")).to_contain_text("33 % · line 3,400")
    jobs.get_by_role("button", name="Stop").click()
    expect(jobs.get_by_role("alert")).to_contain_text("aspen serve")
    opened.problems[:] = [one for one in opened.problems if "ERR_FAILED" not in one]
    assert opened.problems == []
