"""The page of traces: its maps, what is saved of them, and what is asked for in its fields and its address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen


@pytest.fixture(scope="module")
def talked(aspen: Aspen) -> Aspen:
    """Three traces: one longer and one shorter, and one whose reply was given a memory."""
    aspen.chat("Hello.", conversation="short", seed=3, max_tokens=4)
    aspen.chat("My sister Mara moved to Lisbon.", conversation="family", seed=7, max_tokens=24)
    aspen.chat("Where does my sister live?", conversation="later", seed=8, max_tokens=24)
    return aspen


@pytest.fixture
def opened(served: Serve, talked: Aspen) -> Opened:
    return served(talked)


def trace_of(aspen: Aspen, seed: int) -> str:
    return next(one.id for one in aspen.repository.traces() if one.seed == seed)


def go_right(page: Page, times: int) -> None:
    for _ in range(times):
        page.keyboard.press("ArrowRight")


def test_another_trace_takes_the_place_of_the_one_compared(opened: Opened, talked: Aspen) -> None:
    first, long, short = trace_of(talked, 8), trace_of(talked, 7), trace_of(talked, 3)
    page = opened.go(f"/trace/{first}?view=compare&other={long}")
    other = page.get_by_role("application", name="The other trace")
    expect(other).to_be_visible()
    columns = re.compile(r"and (\d+) columns")
    many = int(columns.search(other.get_attribute("aria-label") or "")[1])  # type: ignore[index]
    other.focus()
    go_right(page, many)
    page.get_by_label("Compared with").select_option(short)
    expect(other).not_to_have_attribute("aria-label", re.compile(f"and {many} columns"))
    expect(page.locator(".reading").last).to_contain_text("Point at a cell")
    assert page.locator(".heat-cell").count() == 0


def test_a_cell_that_the_next_measure_does_not_have_is_no_longer_read(opened: Opened, talked: Aspen) -> None:
    page = opened.go(f"/trace/{trace_of(talked, 7)}")
    heat = page.get_by_role("application")
    heat.focus()
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    expect(page.locator(".reading")).to_contain_text("layer 3")
    page.get_by_role("radio", name="Surprise").check()
    expect(page.locator(".scale")).to_contain_text("bits")
    expect(page.locator(".reading")).to_contain_text("Point at a cell")
    expect(page.locator(".heat-cell")).to_have_count(0)


def test_each_map_is_saved_with_its_scale_and_without_the_cursor(opened: Opened, talked: Aspen) -> None:
    first, other = trace_of(talked, 8), trace_of(talked, 7)
    page = opened.go(f"/trace/{first}?view=compare&other={other}")
    buttons = page.get_by_role("button", name="Save as PNG")
    expect(buttons).to_have_count(3)
    names = set()
    for at in range(3):
        with page.expect_download() as waiting:
            buttons.nth(at).click()
        names.add(waiting.value.suggested_filename)
    assert names == {f"{first}-{other}-norm.png", f"{first}-norm.png", f"{other}-norm.png"}

    page.evaluate(
        """() => {
          window.drawn = [];
          const fill = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
            if (!this.canvas.isConnected) window.drawn.push(text);
            return fill.call(this, text, ...where);
          };
        }"""
    )

    def saved() -> bytes:
        with page.expect_download() as waiting:
            buttons.nth(1).click()
        return waiting.value.path().read_bytes()

    before = saved()
    drawn: list[str] = page.evaluate("() => window.drawn")
    assert {"This trace", f"Norm: {first}, later"} <= set(drawn)
    assert any(text.endswith(" length of the residual stream") for text in drawn)
    page.get_by_role("application", name="This trace").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".heat-cell")).to_have_count(1)
    assert saved() == before


def test_a_large_map_is_sorted_and_drawn_once_and_its_table_is_bounded(opened: Opened, talked: Aspen) -> None:
    rows, columns = 140, 2256

    def large(route: Route) -> None:
        values = [[float((row * 7 + column) % 50) for column in range(columns)] for row in range(rows)]
        tokens = [f"t{column}" for column in range(columns)]
        told = {"title": "large", "measure": "norm", "unit": "length", "layers": list(range(rows))}
        route.fulfill(json={**told, "tokens": tokens, "segments": [], "values": values, "prompt": None})

    page = opened.page
    page.route("**/api/v1/traces/*/map?*", large)
    page.add_init_script(
        """window.work = 0;
        for (const type of [Array, Float64Array]) {
          const sort = type.prototype.sort;
          type.prototype.sort = function (...by) {
            if (this.length > 1000) window.work += 1;
            return sort.apply(this, by);
          };
        }
        const put = OffscreenCanvasRenderingContext2D.prototype.putImageData;
        OffscreenCanvasRenderingContext2D.prototype.putImageData = function (...what) {
          window.work += 1;
          return put.apply(this, what);
        };"""
    )
    opened.go(f"/trace/{trace_of(talked, 7)}")
    heat = page.get_by_role("application")
    expect(heat).to_be_visible()
    page.wait_for_function("() => window.work >= 2")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    before = page.evaluate("() => window.work")
    box = heat.bounding_box()
    assert box is not None
    for x in range(100, 200, 10):
        page.mouse.move(box["x"] + x, box["y"] + 100)
    expect(page.locator(".reading")).to_contain_text("column 26")
    assert page.evaluate("() => window.work") == before

    page.get_by_text("The same as a table").click()
    expect(page.get_by_text("the first 500 of 2,256 tokens, and the first 130 of 140 rows")).to_be_visible()
    assert page.locator(".scroll-both tbody tr").count() == 500
    link = page.get_by_role("link", name="as JSON")
    expect(link).to_have_attribute("href", re.compile(r"/api/v1/traces/.*/map\?measure=norm"))


def test_a_temperature_may_have_a_comma_and_has_to_be_a_number(opened: Opened, talked: Aspen) -> None:
    page = opened.go(f"/trace/{trace_of(talked, 8)}?view=edit")
    page.get_by_label("What is changed").select_option("temperature")
    field = page.get_by_label("Temperature", exact=False).and_(page.get_by_role("textbox"))
    for text in ("warm", "-1", "0,8,1", ""):
        field.fill(text)
        expect(page.get_by_role("button", name="Run both")).to_be_disabled()
    field.fill("0,8")
    with page.expect_request("**/replay") as waiting:
        page.get_by_role("button", name="Run both").click()
    assert waiting.value.post_data_json == {"temperature": 0.8}
    expect(page.get_by_role("heading", name="Token by token")).to_be_visible()
    expect(page.locator(".verdict")).to_have_count(0)


def test_what_is_changed_is_not_said_to_stay(opened: Opened, talked: Aspen) -> None:
    page = opened.go(f"/trace/{trace_of(talked, 8)}?view=edit")
    stays = page.get_by_text("Everything else stays")
    expect(stays).to_contain_text("the seed")
    page.get_by_label("What is changed").select_option("seed")
    expect(stays).not_to_contain_text("the seed")
    expect(stays).to_contain_text("the temperature")


def test_the_note_that_was_recorded_is_there_to_be_changed(opened: Opened, talked: Aspen) -> None:
    page = opened.go(f"/trace/{trace_of(talked, 8)}?view=edit")
    page.get_by_label("What is changed").select_option("note")
    note = page.get_by_label("The note of memories instead")
    expect(note).to_have_value(re.compile("Lisbon"))
    note.fill(note.input_value().replace("Lisbon", "Porto"))
    page.get_by_role("button", name="Run both").click()
    expect(page.locator(".answers.two .reply").last).to_contain_text("Porto")


def test_a_seed_is_made_of_digits(opened: Opened, talked: Aspen) -> None:
    page = opened.go("/trace?seed=abc")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.get_by_role("alert")).to_have_count(0)
    seed = page.get_by_label("Seed")
    seed.press_sequentially("x8y")
    expect(seed).to_have_value("8")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"seed=8$"))
    seed.fill("77")
    expect(page.get_by_role("heading", name="No such trace")).to_be_visible()


def test_more_traces_that_cannot_be_had_are_told_of(opened: Opened, talked: Aspen) -> None:
    page = opened.page

    def with_more(route: Route) -> None:
        if "cursor" in route.request.url:
            route.abort()
        else:
            response = route.fetch()
            route.fulfill(response=response, json={**response.json(), "next": "more"})

    page.route("**/api/v1/traces?*", with_more)
    opened.go("/trace")
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("alert")).to_contain_text("aspen serve")
    opened.problems[:] = [one for one in opened.problems if "ERR_FAILED" not in one]
    assert opened.problems == []


@pytest.mark.parametrize("view", ["", "?view=attention", "?view=compare", "?view=edit"])
def test_a_trace_does_not_run_over_on_a_phone(served: Serve, talked: Aspen, view: str) -> None:
    opened = served(talked, viewport={"width": 375, "height": 700})
    page = opened.go(f"/trace/{trace_of(talked, 8)}{view}")
    expect(page.locator(".tabs")).to_be_visible()
    expect(page.locator(".busy")).to_have_count(0)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
