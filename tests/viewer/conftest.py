"""A real Chromium in front of a real server: each test gets a page on which nothing may go wrong unseen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs the driver: pip install playwright")
pytest.importorskip("fastapi", reason="needs the server: pip install 'aspen-memory[server]'")

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.viewer.opened import Opened

from aspen import Aspen, Config
from aspen.server.running import running
from aspen.server.settings import ServerSettings
from aspen.testing.fake_model import FakeModel

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_INSTALL = "no Chromium found: apt-get install -y --no-install-recommends chromium"
_WIDE = {"width": 1280, "height": 900}
# WebGL by the processor, where there is no graphics card.
_FLAGS = ["--enable-unsafe-swiftshader"]

_PATIENCE = 120_000  # milliseconds; a busy machine is slow, and no error
expect.set_options(timeout=_PATIENCE)

Serve = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: as long as the driver runs it has an event loop, and tests of other files need their own."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(_INSTALL)
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *as_root])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def viewer_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """One cache folder, so that the fake model is calibrated once."""
    folder = tmp_path_factory.mktemp("viewer")
    return Config(cache_dir=folder, store=folder / "never-used.db")


def answer(prompt: str) -> str:
    """What the fake model says: the newest thing that its prompt, with the note in it, tells of a sister."""
    found = max(("Lisbon", "Porto"), key=prompt.rfind)
    return f"She lives in {found}." if found in prompt else "I do not know."


@pytest.fixture(scope="module")
def aspen(viewer_config: Config) -> Iterator[Aspen]:
    """A store that the tests of a file share."""
    with Aspen.open(":memory:", model=FakeModel(say=answer), config=viewer_config) as aspen:
        yield aspen


@pytest.fixture(scope="module")
def address() -> Iterator[Callable[[Aspen], str]]:
    """Where a store is served; one server for each store."""
    with ExitStack() as servers:
        urls: dict[int, str] = {}

        def address(aspen: Aspen) -> str:
            if id(aspen) not in urls:
                settings = ServerSettings(port=0, rate=10_000, burst=10_000, request_seconds=_PATIENCE / 1000)
                urls[id(aspen)] = servers.enter_context(running(aspen, settings=settings, warm=False)).url
            return urls[id(aspen)]

        yield address


@pytest.fixture
def served(browser: Browser, address: Callable[[Aspen], str]) -> Iterator[Serve]:
    """Opens pages of a store; an error on their console fails the test."""
    with ExitStack() as contexts:
        problems: list[str] = []

        def serve(aspen: Aspen, **options: Any) -> Opened:
            context = browser.new_context(**{"viewport": _WIDE, **options})
            contexts.callback(context.close)
            context.set_default_timeout(_PATIENCE)
            page = context.new_page()
            _watch(page, problems)
            return Opened(page, address(aspen), problems)

        yield serve
        assert problems == []


def _watch(page: Page, problems: list[str]) -> None:
    """Keep what goes wrong on a page: errors of scripts, and what the console calls an error."""

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(str(error)))


@pytest.fixture(scope="session")
def axe() -> str:
    pytest.importorskip("axe_playwright_python", reason="needs axe-core: pip install axe-playwright-python")
    return (Path(str(files("axe_playwright_python"))) / "axe.min.js").read_text(encoding="utf-8")
