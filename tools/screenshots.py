"""Takes the pictures of the memory viewer that the documentation shows: `make screenshots`.

A store is made of the character memories that ship with Aspen and a conversation with the bundled model, served, and
looked at with Chromium. Replies and seeds are fixed, so that a picture changes only where the page does; dates do.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from aspen import Aspen
from aspen.demo import CREATOR
from aspen.interchange import import_file
from aspen.server.running import running
from aspen.server.settings import ServerSettings
from aspen.types import SamplerSettings

FOLDER = Path(__file__).parents[1] / "docs/images/viewer"
WIDE, HIGH, PHONE = (1280, 860), (1280, 1160), (390, 844)
LIKELIEST = SamplerSettings(temperature=0)
PATIENCE = 300_000  # milliseconds: the model reads a trace again
QUESTION = "How do I handle creative burnout?"
SAID = (
    ("family", "My sister Mara moved to Lisbon in March. She works there as a nurse."),
    ("family", "I booked the night train to Lisbon for the 14th of May."),
    ("today", "Where does my sister Mara live?"),
    ("today", "What does Mara do in Lisbon?"),
)


@dataclass(frozen=True)
class Shot:
    """One picture: its name, an address with `{trace}` and `{memory}` in it, and what is done before it is taken."""

    name: str
    address: str
    ready: Callable[[Page], None]
    theme: str = "light"
    size: tuple[int, int] = WIDE


def _see(selector: str) -> Callable[[Page], None]:
    return lambda page: expect(page.locator(selector).first).to_be_visible()


def _unfold(page: Page) -> None:
    page.locator(".hits summary").first.click()
    page.mouse.move(0, 0)  # what is pointed at is marked


def _second_hop(page: Page) -> None:
    """In the middle of the second hop, when places are found."""
    expect(page.locator(".graph-note")).not_to_contain_text("finding their places")
    page.locator(".scrub input").fill("1.6")
    page.wait_for_timeout(1_000)


SHOTS = (
    Shot("conversation", "/conversation/today", _see(".why .given"), size=(1280, 960)),
    Shot("recall", f"/recall?prompt={QUESTION}&preset=character", _unfold),
    Shot("graph", f"/graph?prompt={QUESTION}&preset=character", _second_hop, theme="dark", size=(1280, 940)),
    Shot(
        "trace", "/trace/{trace}?measure=resonance&prompt=a city in Portugal", _see(".heat canvas"), size=HIGH
    ),
    Shot("memories", "/memories?type=belief&sort=priority", _see(".found-memory")),
    Shot("memory", "/memories/{memory}", _see(".relation"), theme="dark"),
    Shot("health", "/health", _see(".sizes")),
    Shot("phone", "/conversation/today", _see(".why .given"), theme="dark", size=PHONE),
)


def fill(store: Path) -> tuple[str, str]:
    """Make the store; the trace and the memory that are shown."""
    with Aspen.open(store, model="bundled", notify=print) as aspen:
        import_file(aspen, CREATOR)
        replies = [
            aspen.chat(said, conversation=conversation, seed=7, sampler=LIKELIEST, max_tokens=48)
            for conversation, said in SAID
        ]
        belief = aspen.page(type="belief", sort="priority").memories[0]
        trace = replies[2].trace_id
        return str(trace), belief.id


def take(browser: Browser, url: str, shot: Shot, *, trace: str, memory: str) -> None:
    """One picture."""
    width, height = shot.size
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page.set_default_timeout(PATIENCE)
    page.goto(url.rstrip("/") + shot.address.format(trace=trace, memory=memory))
    expect(page.locator(".busy")).to_have_count(0)
    shot.ready(page)
    page.wait_for_timeout(500)
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    page.close()
    print(f"{shot.name}.png")


def main() -> None:
    """All pictures, or those that are named as arguments."""
    wanted = set(sys.argv[1:])
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("No Chromium found: apt-get install -y --no-install-recommends chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    flags = ["--enable-unsafe-swiftshader", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "memory.db"
        trace, memory = fill(store)
        settings = ServerSettings(port=0, request_seconds=PATIENCE / 1000)
        with Aspen.open(store, model="bundled") as aspen, running(aspen, settings=settings) as address:
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            for shot in SHOTS:
                if not wanted or shot.name in wanted:
                    take(browser, address.url, shot, trace=trace, memory=memory)
            browser.close()


if __name__ == "__main__":
    main()
