"""Each page with a store that the bundled model filled, and with twenty thousand imported memories."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.viewer.conftest import Serve
from tests.viewer.imported import write
from tests.viewer.opened import Opened

from aspen import Aspen, Config
from aspen.errors import MissingDependency
from aspen.interchange import import_file
from aspen.models import bundled
from aspen.testing.fake_model import FakeModel

pytestmark = pytest.mark.slow

MANY = 20_000
SAID = (
    "My sister Mara moved to Lisbon in {}.", "The harbour opens at {} in winter.", "I planted {} tomatoes.",
    "Our cat Biscuit hid for {} hours.", "The train to Porto takes {} minutes.", "Do you remember note {}?",
)  # fmt: skip
CONTENT = {
    "conversation": "article.turn .why .given, .empty",
    "recall?prompt=Where%20does%20my%20sister%20live": ".hits > li",
    "graph": ".graph-box canvas",
    "trace": "tbody a",
    "memories": ".found-memory",
    "memories/duplicates": "li.pair, .empty",
    "memories/links": "table.links, .empty",
    "memories/transfer": "input[type=file]",
    "health": "[aria-label=Store] .facts",
}


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aspen]:
    """Thirty turns that the bundled model really answered."""
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    with Aspen.open(tmp_path_factory.mktemp("sixty") / "real.db", model="bundled") as aspen:
        for number in range(30):
            message = SAID[number % len(SAID)].format(number + 2)
            aspen.chat(message, conversation=f"day {number // 6}", seed=number, max_tokens=8, note_tokens=60)
        assert aspen.repository.stats().memories == 60
        yield aspen


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, viewer_config: Config) -> Iterator[Aspen]:
    """Imported memories with relations between them, beside one turn of a conversation."""
    folder = tmp_path_factory.mktemp("many")
    with Aspen.open(folder / "many.db", model=FakeModel(), config=viewer_config) as aspen:
        report = import_file(aspen, write(folder / "notes.jsonl", count=MANY))
        assert (report.stored, report.bad) == (MANY, 0)
        aspen.chat("What did my sister paint?", conversation="family", seed=7, max_tokens=8)
        yield aspen


def open_all(opened: Opened) -> None:
    """Every page has its content, no longer waits for anything, and tells of nothing that went wrong."""
    for path, content in CONTENT.items():
        page = opened.go(f"/{path}")
        expect(page.locator(content).first, path).to_be_attached()
        expect(page.locator(".busy"), path).to_have_count(0)
        expect(page.locator("main").get_by_role("alert"), path).to_have_count(0)
        assert opened.problems == [], path


def test_each_page_with_what_the_model_made(served: Serve, sixty: Aspen) -> None:
    opened = served(sixty)
    open_all(opened)
    page = opened.go("/memories")
    expect(page.get_by_text("60 memories", exact=True)).to_be_visible()
    page.locator(".found-memory a").first.click()
    expect(page.locator(".memory-text")).not_to_be_empty()
    expect(page.get_by_label("About it")).to_contain_text("Traces it stands in")
    page = opened.go("/graph")
    expect(page.locator(".graph-note")).to_contain_text("60 memories")
    expect(page.locator(".graph-note")).not_to_contain_text("matter most")
    page = opened.go("/trace")
    expect(page.locator("tbody tr")).to_have_count(30)
    page.locator("tbody a").first.click()
    expect(page.get_by_role("application")).to_be_visible()


def test_a_reply_of_the_model_replays_on_the_page(served: Serve, sixty: Aspen) -> None:
    page = served(sixty).go("/conversation/day%204")
    expect(page.locator("article.turn")).to_have_count(6)
    why = page.locator(".why").last
    why.get_by_role("button", name="Replay").click()
    expect(why.locator(".verdict.good")).to_contain_text("verified")


def test_each_page_with_twenty_thousand_memories(served: Serve, many: Aspen) -> None:
    opened = served(many)
    open_all(opened)
    page = opened.go("/health")
    expect(page.get_by_label("Store", exact=True)).to_contain_text("20,002")
    memory = many.page(text="note 12345.").memories[0]
    page = opened.go(f"/memories/{memory.id}")
    expect(page.locator(".memory-text")).to_have_text(memory.text)


def test_many_memories_are_searched_filtered_and_paged(served: Serve, many: Aspen) -> None:
    page = served(many).go("/memories")
    found = page.locator(".found-memory")
    expect(page.get_by_text("20,002 memories", exact=True)).to_be_visible()
    expect(found).to_have_count(50)
    first = found.first.inner_text()
    pages = page.get_by_label("Pages of the list")
    pages.get_by_role("button", name="Next").click()
    expect(page.get_by_text("page 2 of 401")).to_be_visible()
    expect(found.first).not_to_have_text(first)
    pages.get_by_role("button", name="Back").click()
    expect(found.first).to_contain_text(first.splitlines()[0])

    page.get_by_label("Words in it").fill("note 12345.")
    expect(found).to_have_count(1)
    page.get_by_label("Words in it").fill("piano")
    page.get_by_label("Type").select_option("self")
    total = many.page(text="piano", type="self").total
    expect(page.get_by_text(re.compile(rf"^{total} memor"))).to_be_visible()
    assert 0 < total < MANY / 100
    page.get_by_text("More filters").click()
    page.get_by_label("Tag").fill("travel")
    total = many.page(text="piano", type="self", tag="travel").total
    expect(page.get_by_text(re.compile(rf"^{total} memor"))).to_be_visible()
    page.get_by_label("Speaker").fill("Nobody")
    expect(page.get_by_role("heading", name="No memory fits")).to_be_visible()


def test_the_graph_of_many_says_what_it_leaves_out_and_loads_neighbours(served: Serve, many: Aspen) -> None:
    page = served(many).go("/graph?size=100")
    note = page.locator(".graph-note")
    expect(note).to_contain_text("100 memories, the ones that matter most just now")
    page.get_by_label("Find a memory in the graph").fill("note 1")
    page.locator(".finder li button").first.click()
    details = page.get_by_label("The chosen memory")
    expect(details.locator(".neighbours li").first).to_be_visible()
    details.get_by_role("button", name="Load its neighbours").click()
    expect(note).to_contain_text(re.compile(r"^1(0[1-9]|[1-9]\d) memories"))
    expect(page.get_by_role("img", name=re.compile("^Graph of 1"))).to_be_visible()
