"""Each page with a small store: it shows what is there, goes by keyboard, and axe-core finds nothing serious."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect
from tests.viewer.conftest import Serve
from tests.viewer.opened import Opened

from aspen import Aspen
from aspen.types import MemoryType

PAGES = ("conversation", "recall?prompt=sister", "graph", "trace", "memories", "memories/duplicates", "memories/links",
         "memories/transfer", "health")  # fmt: skip


@pytest.fixture(scope="module")
def filled(aspen: Aspen) -> Aspen:
    """Two memories of each type with relations, and a conversation of one turn."""
    made = [
        aspen.remember(f"{kind.value} {text}", speaker="Ann", type=kind, conversation="notes")
        for kind in MemoryType
        for text in ("about my sister Mara", "about evenings at home")
    ]
    for one, other in pairwise(made):
        aspen.relate(one.id, other.id, "supports", weight=0.9)
    aspen.chat("My sister Mara moved to Lisbon.", conversation="family", seed=7, max_tokens=24)
    aspen.chat("Where does my sister live?", conversation="family", seed=7, max_tokens=24)
    return aspen


@pytest.fixture
def opened(served: Serve, filled: Aspen) -> Opened:
    return served(filled)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_have_no_serious_finding(served: Serve, filled: Aspen, axe: str, theme: str) -> None:
    opened = served(filled, color_scheme=theme)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        page = opened.go(f"/{path}")
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator(".busy")).to_have_count(0)
        page.evaluate(
            "() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))"
        )
        found[path] = opened.serious(axe)
    assert {path: one for path, one in found.items() if one} == {}


@pytest.mark.parametrize("path", PAGES)
def test_nothing_runs_over_on_a_phone(served: Serve, filled: Aspen, path: str) -> None:
    page = served(filled, viewport={"width": 390, "height": 844}).go(f"/{path}")
    expect(page.locator(".busy")).to_have_count(0)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_reply_shows_what_it_was_given(opened: Opened) -> None:
    page = opened.go("/conversation/family")
    why = page.locator(".why").last
    for fact in ("Strategy", "Memories take", "Prompt", "Seed"):
        expect(why.get_by_text(fact, exact=True)).to_be_visible()
    expect(why.locator(".given a").first).to_be_visible()
    why.get_by_role("button", name="Replay").click()
    expect(why.locator(".verdict.good")).to_contain_text("verified")


def test_with_and_without_memory_side_by_side(opened: Opened) -> None:
    page = opened.go("/conversation/elsewhere")
    page.get_by_role("radio", name="Side by side").check()
    turn = opened.say("In which city does Mara live?")
    expect(turn.locator(".reply")).to_have_count(2)
    expect(turn.locator(".reply").first).to_contain_text("Lisbon")
    expect(turn.locator(".reply.plain")).to_contain_text("I do not know")


def test_a_link_restores_a_recall_and_a_slider_changes_it(opened: Opened) -> None:
    page = opened.go("/recall?prompt=sister&preset=character&limit=5")
    expect(page.get_by_label("Preset")).to_have_value("character")
    expect(page.locator(".hits > li")).to_have_count(5)
    with page.expect_response("**/api/v1/recall"):
        page.get_by_label("Left after each hop").fill("0.1")
    expect(page.locator(".result")).to_have_attribute("aria-busy", "false")
    expect(page).to_have_url(re.compile(r"decay=0\.1"))
    before = [page.locator(".hits .words").nth(at).inner_text() for at in range(5)]
    page.reload()
    expect(page.get_by_label("Left after each hop")).to_have_value("0.1")
    expect(page.locator(".hits > li")).to_have_count(5)
    assert [page.locator(".hits .words").nth(at).inner_text() for at in range(5)] == before
    page.locator(".hits summary").first.click()
    expect(page.locator(".score-table").first).to_contain_text("keyword")


def test_the_hops_of_a_recall_can_be_stepped(opened: Opened) -> None:
    page = opened.go("/graph?prompt=sister")
    player = page.get_by_label("The spreading, hop by hop")
    expect(player).to_be_visible()
    player.get_by_role("button", name="Pause").or_(player.get_by_role("button", name="Play")).click()
    scrub = player.get_by_role("slider")
    scrub.fill("0")
    expect(player.locator(".telling")).to_contain_text("Found:")
    player.get_by_role("button", name="On to the next hop").click()
    expect(player.locator(".telling")).to_contain_text("Hop 1:")


def test_a_memory_is_chosen_in_the_graph_without_a_mouse(opened: Opened) -> None:
    page = opened.go("/graph")
    expect(page.locator(".graph-box canvas").first).to_be_attached()
    page.get_by_label("Find a memory in the graph").fill("belief about evenings")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    details = page.get_by_label("The chosen memory")
    expect(details).to_contain_text("belief about evenings at home")
    expect(details.get_by_role("heading", name="Neighbours")).to_be_visible()


def test_a_trace_is_read_cell_by_cell_with_the_keyboard(opened: Opened) -> None:
    page = opened.go("/trace")
    page.locator("tbody a").first.click()
    heat = page.get_by_role("application")
    expect(heat).to_be_visible()
    heat.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".reading")).to_contain_text("column 1")
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("region", name="Norm as a table").locator("tbody tr").first).to_be_visible()
    page.get_by_role("radio", name="Surprise").check()
    expect(page.locator(".scale")).to_contain_text("bits")
    page.get_by_role("link", name="Attention").click()
    expect(page.get_by_text("Share of the attention by segment")).to_be_visible()


def test_the_picture_of_a_trace_is_saved(opened: Opened) -> None:
    page = opened.go("/trace")
    page.locator("tbody a").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    assert waiting.value.path().read_bytes().startswith(b"\x89PNG")


def test_one_thing_changed_is_shown_token_by_token(opened: Opened) -> None:
    page = opened.go("/trace")
    page.locator("tbody a").first.click()
    page.get_by_role("link", name="What if").click()
    page.get_by_label("What is changed").select_option("no_note")
    page.get_by_role("button", name="Run both").click()
    expect(page.get_by_role("heading", name="Token by token")).to_be_visible()
    expect(page.locator(".token-text del").first).to_be_visible()


def test_memories_are_filtered_in_the_address(opened: Opened) -> None:
    page = opened.go("/memories?type=belief")
    expect(page.locator(".found-memory")).to_have_count(2)
    page.get_by_label("Words in it").fill("evenings")
    expect(page.locator(".found-memory")).to_have_count(1)
    expect(page).to_have_url(re.compile("text=evenings&type=belief"))


def test_a_memory_is_edited_and_the_edit_undone(opened: Opened, filled: Aspen) -> None:
    memory = filled.page(text="belief about evenings").memories[0]
    page = opened.go(f"/memories/{memory.id}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Stability").select_option("canonical")
    page.get_by_label("Tags").fill("home, evening")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("About it")).to_contain_text("evening, home")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("About it")).not_to_contain_text("evening, home")
    assert filled.page(text="belief about evenings").memories[0].stability == memory.stability


def test_an_edit_of_what_changed_meanwhile_is_refused(opened: Opened, filled: Aspen) -> None:
    memory = filled.page(text="belief about evenings").memories[0]
    page = opened.go(f"/memories/{memory.id}")
    page.get_by_role("button", name="Edit").click()
    filled.amend(memory.id, importance=0.1)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    opened.expect_answer(412)
    assert filled.page(text="belief about evenings").memories[0].importance == 0.1


def test_memories_are_related_and_it_is_undone(opened: Opened, filled: Aspen) -> None:
    memory = filled.page(text="belief about evenings").memories[0]
    other = filled.page(text="semantic about my sister").memories[0]
    page = opened.go(f"/memories/{memory.id}")
    page.get_by_role("button", name="Relate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("This memory").select_option("causes")
    dialog.get_by_label("which memory").fill("semantic")
    dialog.get_by_role("button", name="semantic about my sister Mara").click()
    dialog.get_by_role("button", name="Relate", exact=True).click()
    relation = page.locator("li.relation", has_text="causes")
    expect(relation).to_contain_text("semantic about my sister Mara")
    relation.get_by_role("button", name="Remove this relation").click()
    expect(relation).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(relation).to_have_count(1)
    assert [(one.target, one.type) for one in filled.relations(memory.id) if one.type == "causes"] == [
        (other.id, "causes")
    ]


def test_a_file_is_imported_and_exported(opened: Opened) -> None:
    page = opened.go("/memories/transfer")
    lines = b'{"text": "The harbour opens at six."}\n{"text": "The ferry is late on Mondays."}\nno line\n'
    page.get_by_label("File").set_input_files(
        {"name": "notes.jsonl", "mimeType": "text/plain", "buffer": lines}
    )
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("2 memories stored", exact=True)).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export", exact=True).click()
    assert b"The ferry is late on Mondays." in waiting.value.path().read_bytes()


def test_the_doctor_says_what_to_do(opened: Opened) -> None:
    page = opened.go("/health")
    page.get_by_role("button", name="Examine").click()
    expect(page.locator(".findings li").first).to_be_visible()


def test_the_theme_is_kept(opened: Opened) -> None:
    page = opened.go("/health")
    page.get_by_role("button", name="Show it dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    opened.go("/memories")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_main_path_goes_by_keyboard_alone(opened: Opened) -> None:
    page = opened.go("/memories")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.closest('.found-memory') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Correct")).to_be_visible()
    page.get_by_role("button", name="Correct").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate("() => document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Correct")).to_be_focused()


def test_a_server_that_is_gone_is_told(opened: Opened) -> None:
    page = opened.go("/memories")
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_label("Words in it").fill("sister")
    expect(page.get_by_role("alert")).to_contain_text("aspen serve")
    opened.problems.clear()
