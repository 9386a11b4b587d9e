"""How long the pages of the memory viewer take to be there, and how smoothly its graph moves.

    python benchmarks/viewer.py --json viewer.json

`aspen serve` runs in a process of its own, with the bundled model and a store of 20,000 memories with relations, beside
which a conversation was recorded. A headless Chromium opens each page several times, each time as a browser that has
seen nothing before. Then the graph is dragged and zoomed, and a recall is played over it; what counts is a frame in
which WebGL drew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `python benchmarks/viewer.py` from anywhere

from benchmarks import _browser, _graphs, _stores
from benchmarks._program import exit_code, positive
from benchmarks._serving import serving
from playwright.sync_api import Browser, Page

from aspen import Aspen
from aspen.benchmarks import output
from aspen.benchmarks.circumstances import circumstances

_SEEDS = 200  # turns that are encoded for real
_RELATIONS = 5  # a memory
_PROMPT = "What did we say about the weekend?"
_SAID = ("We went to the market on Saturday.", "It rained on Sunday.", "What did we do at the weekend?")
_REPLY_TOKENS = 16
_CONVERSATION = "weekend"
_DRAGGED = 4.0  # seconds
_TURNS, _TURN_MS = 40, 60  # of the wheel; and between two of them
_SETTLED = "() => !document.querySelector('.graph-note').textContent.includes('finding')"
_PLAYED = "section.player button.strong[aria-label='Play']"


@dataclass(frozen=True)
class Known:
    """What addresses name: a memory with relations, and a trace."""

    memory: str
    trace: str


def _fill(store: Path, memories: int) -> Known:
    """Memories with relations, a power law of them, and a conversation that the model was really in."""
    types, edges = _graphs.power_law(memories, memories * _RELATIONS)
    with Aspen.open(store) as aspen:
        seeds = _stores.Seeds.encode(aspen.engine, count=min(_SEEDS, memories))
        _stores.fill(aspen.engine, seeds, count=memories, types=types)
        _graphs.relate(aspen.repository, edges)
        for number, message in enumerate(_SAID):
            reply = aspen.chat(message, conversation=_CONVERSATION, seed=number, max_tokens=_REPLY_TOKENS)
        (hub,) = aspen.repository.get_by_seq([int(np.bincount(edges.sources).argmax())])
        return Known(memory=hub.id, trace=reply.trace_id or "")


def _pages(known: Known) -> dict[str, tuple[str, str]]:
    """Of each page its address, and a selector of its content."""
    return {
        "conversation": (f"conversation/{_CONVERSATION}", "article.turn .why"),
        "recall": (f"recall?prompt={quote(_PROMPT)}", ".hits > li"),
        "graph": ("graph", ".graph-box canvas"),
        "traces": ("trace", "tbody a"),
        "trace": (f"trace/{known.trace}", "[role=application] canvas"),
        "memories": ("memories", ".found-memory"),
        "memory": (f"memories/{known.memory}", ".memory-text"),
        "duplicates": ("memories/duplicates", "li.pair, .empty"),
        "links": ("memories/links", "table.links, .empty"),
        "transfer": ("memories/transfer", "input[type=file]"),
        "health": ("health", "[aria-label=Store] .facts"),
    }


def _load(browser: Browser, url: str, known: Known, *, loads: int) -> dict[str, dict[str, float]]:
    """Of each page the medians over all loads but the first, which fills the server's caches, and that one."""
    found = {}
    for name, (path, content) in _pages(known).items():
        output.note(f"opening {name}")
        first, *others = [_browser.load(browser, f"{url}{path}", content=content) for _ in range(loads + 1)]
        medians = {key: round(float(np.median([one[key] for one in others])), 1) for key in first}
        worst = round(max(one["first_paint_ms"] for one in [first, *others]), 1)
        found[name] = {
            **medians,
            "first_paint_worst_ms": worst,
            "content_first_time_ms": round(first["content_ms"], 1),
        }
    return found


def _zoom(page: Page) -> None:
    box = page.locator(".graph-box").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for turn in range(_TURNS):
        page.mouse.wheel(0, -80 if turn < _TURNS / 2 else 80)
        page.wait_for_timeout(_TURN_MS)


def _play(page: Page) -> None:
    page.locator(_PLAYED).click()
    page.locator(_PLAYED).wait_for(state="detached")
    page.locator(_PLAYED).wait_for()


@contextmanager
def _settled(browser: Browser, address: str) -> Iterator[Page]:
    """The graph, once every memory has its place."""
    with _browser.opened(browser, address, content=".graph-box canvas") as page:
        page.wait_for_function(_SETTLED)
        yield page


def _move(browser: Browser, url: str, *, shown: int) -> dict[str, object]:
    """Frames a second while the graph of so many memories is dragged, zoomed and played over."""
    output.note(f"moving the graph of {shown:,} memories")
    graph = f"{url}graph?size={shown}"
    with _settled(browser, graph) as page:
        drawn = page.evaluate(
            "async (limit) => { const graph = await (await fetch(`/api/v1/graph?limit=${limit}`)).json();"
            " return [graph.nodes.length, graph.edges.length]; }",
            shown,
        )
        dragged = _browser.frames(page, lambda: _browser.drag(page, seconds=_DRAGGED))
        zoomed = _browser.frames(page, lambda: _zoom(page))
    with _settled(browser, f"{graph}&prompt={quote(_PROMPT)}") as page:
        page.locator(_PLAYED).wait_for()  # it plays by itself the first time
        played = _browser.frames(page, lambda: _play(page))
    return {
        "memories": drawn[0],
        "relations": drawn[1],
        **{
            name: _browser.rates(intervals)
            for name, intervals in (("drag", dragged), ("zoom", zoomed), ("play", played))
        },
    }


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    output.check_output(arguments.json)
    with tempfile.TemporaryDirectory(prefix="aspen-viewer-") as folder:
        store = Path(folder) / "store.db"
        output.note(f"filling the store with {arguments.memories:,} memories")
        known = _fill(store, arguments.memories)
        with serving(store) as url, _browser.chromium() as browser:
            drawer = _browser.renderer(browser)
            pages = _load(browser, url, known, loads=arguments.loads)
            graphs = {str(shown): _move(browser, url, shown=shown) for shown in arguments.shown}
            version = browser.version
    _print(pages, graphs, drawer=drawer)
    head = circumstances(title="viewer", command=["python", "benchmarks/viewer.py", *sys.argv[1:]])
    found = {
        "memories": arguments.memories,
        "loads": arguments.loads,
        "browser": f"Chromium {version}, headless",
        "renderer": drawer,
        "pages": pages,
        "graphs": graphs,
    }
    output.write_json(arguments.json, {**head, **found})


def _print(
    pages: Mapping[str, Mapping[str, float]], graphs: Mapping[str, Mapping[str, object]], *, drawer: str
) -> None:
    columns = ["first_paint_ms", "content_ms", "first_paint_worst_ms", "content_first_time_ms"]
    output.table(
        "Pages",
        ["page", *columns],
        [[name, *(f"{row[column]:,}" for column in columns)] for name, row in pages.items()],
    )
    movements = ("drag", "zoom", "play")
    output.table(
        "Graph, frames a second: mean, median, and what 95 of 100 frames reach",
        ["memories asked for", "memories", "relations", *movements],
        [
            [
                shown,
                f"{row['memories']:,}",
                f"{row['relations']:,}",
                *(_told(row[name]) for name in movements),
            ]
            for shown, row in graphs.items()
        ],
        caption=f"drawn by {drawer}",
    )


def _told(rates: object) -> str:
    assert isinstance(rates, dict)
    return f"{rates['mean_fps']}, {rates['median_fps']}, {rates['p5_fps']}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memories", type=positive, default=20_000, help="in the store (default: 20000)")
    parser.add_argument("--loads", type=positive, default=7, help="of each page (default: 7)")
    parser.add_argument(
        "--shown", type=positive, nargs="+", default=[500, 2000, 5000], help="memories in the graph"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(_parser().parse_args())))
