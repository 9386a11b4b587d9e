"""The page of conversations: what it says of the memories behind a reply, and where it scrolls to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Route, expect
from tests.builders import FACTS, NOON
from tests.front_door import NOTE_TOKENS
from tests.viewer.conftest import Serve, answer

from aspen import Aspen, Config, MemoryItem
from aspen.testing.fake_model import FakeModel

MOVES = ("My sister did move the piano.", "My sister did move to Porto.")
DAYS = ("14 January 2024", "14 May 2024")


@pytest.mark.parametrize("turned", [False, True])
def test_a_reply_feels_like_the_day_of_its_best_memory(
    served: Serve, viewer_config: Config, turned: bool
) -> None:
    """Memories are told in order of date: whichever of the two is the best, it is not the first one time."""
    dates = [datetime(2024, month, 14, 12, tzinfo=UTC) for month in (1, 5)][:: -1 if turned else 1]
    with Aspen.open(":memory:", model=FakeModel(say=answer), config=viewer_config) as aspen:
        aspen.remember_many([MemoryItem(fact, "Ann", said_at=NOON) for fact in FACTS[1:]])
        aspen.remember_many(
            [MemoryItem(text, "Ann", said_at=day) for text, day in zip(MOVES, dates, strict=True)]
        )
        reply = aspen.chat(
            "Where did my sister move to?", conversation="talk", seed=7, note_tokens=NOTE_TOKENS
        )
        assert reply.injection is not None
        best = reply.recall.hits[0].memory if reply.recall else None
        assert best is not None and best.said_at is not None
        assert len(reply.injection.memory_ids) == 2

        why = served(aspen).go("/conversation/talk").locator(".why")
        expect(why.locator(".feeling")).to_contain_text(
            f"feels like {DAYS[(1, 5).index(best.said_at.month)]}"
        )
        expect(why.get_by_role("heading")).to_have_text("The 2 memories it was given, by date")
        expect(why.locator(".given .about").first).to_contain_text("14 Jan 2024")
        expect(why.locator(".given .about").last).to_contain_text("14 May 2024")
        expect(why.locator(".given li", has_text="the best match")).to_contain_text(best.text)


LONG = " ".join(
    f"And then came the {number}th of the many things that are told here." for number in range(40)
)
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
BELOW_HEAD = """(one) => {
  const head = document.querySelector('.head').getBoundingClientRect().bottom;
  const { top } = one.getBoundingClientRect();
  return top >= head - 0.5 && top < innerHeight - 50;
}"""


@pytest.fixture(scope="module")
def telling(viewer_config: Config) -> Iterator[Aspen]:
    """Tells much where it is asked to, and has something to tell from."""
    with Aspen.open(
        ":memory:", model=FakeModel(say=lambda prompt: LONG if "much" in prompt[-200:] else "So it is."),
        config=viewer_config,
    ) as aspen:  # fmt: skip
        aspen.remember_many([MemoryItem(fact, "Ann", said_at=NOON) for fact in FACTS])
        yield aspen


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("asked", ["Tell me much.", "Is the boiler well"])
def test_what_was_said_stands_below_the_head_of_the_page(
    served: Serve, telling: Aspen, size: str, asked: str
) -> None:
    for number in range(3):
        telling.chat(f"Is it so, {number}?", conversation=f"{size} {asked}", seed=number, max_tokens=24)
    opened = served(telling, viewport=SIZES[size])
    page = opened.go(f"/conversation/{size} {asked}")
    expect(page.locator("article.turn")).to_have_count(3)
    page.wait_for_function("() => scrollY > 0")
    assert page.locator(".said").last.evaluate(BELOW_HEAD)

    page.get_by_text("How it answers").click()
    page.get_by_label("Longest reply").fill("512")
    page.evaluate("""() => {
      window.ways = [scrollY];
      const look = () => { ways.at(-1) === scrollY || ways.push(scrollY); requestAnimationFrame(look); };
      look();
    }""")
    turn = opened.say(asked)
    expect(turn.locator(".speaker").last).to_have_text("assistant")  # as it is stored
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert turn.locator(".said").evaluate(BELOW_HEAD)
    if size == "wide":  # on a phone it stands below the reply
        assert turn.locator(".why .feeling").evaluate(BELOW_HEAD)
    ways = page.evaluate("() => ways")
    assert ways == sorted(ways), "the page went up again"
    page.keyboard.press("Shift+Tab")  # Tab goes on from the message, past which nothing was lost
    expect(page.get_by_label("Message", exact=True)).not_to_be_focused()


def test_who_went_on_to_the_end_goes_along(served: Serve, telling: Aspen) -> None:
    opened = served(telling, viewport=SIZES["wide"])
    page = opened.go("/conversation/along")
    page.get_by_text("How it answers").click()
    page.get_by_label("Longest reply").fill("512")
    page.evaluate("""() => {
      const end = () => document.documentElement.scrollHeight - innerHeight;
      const on = () => {
        const begun = document.querySelector('.reply p:last-child')?.textContent.length > 300;
        if (begun) scrollTo(0, end()); else requestAnimationFrame(on);
      };
      on();
    }""")
    opened.say("Tell me much.")
    page.wait_for_function("() => document.documentElement.scrollHeight - innerHeight - scrollY < 2")


def test_links_beside_a_reply_come_with_its_stored_turn_and_stay(served: Serve, telling: Aspen) -> None:
    """Whoever goes on with Tab as soon as there is a link would otherwise lose the place where the turn is stored."""
    opened = served(telling)
    page = opened.go("/conversation/settling")
    expect(page.locator(".busy")).to_have_count(0)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/turns?*", hold)
    page.get_by_label("Message", exact=True).fill("Is the boiler well")
    with page.expect_request("**/turns?*"):
        page.keyboard.press("Enter")
    expect(page.locator(".reply")).to_contain_text("So it is.")
    expect(page.locator(".why")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.locator(".why")).to_have_count(1)
