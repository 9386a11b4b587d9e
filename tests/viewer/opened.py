"""A page of the viewer that is open in a browser, and what tests do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, expect


@dataclass(frozen=True)
class Opened:
    """`problems` are the errors that its console told."""

    page: Page
    url: str
    problems: list[str]

    def go(self, path: str) -> Page:
        """Open an address of the viewer, and wait until it shows something."""
        self.page.goto(self.url.rstrip("/") + path)
        expect(self.page.locator("main")).not_to_be_empty()
        return self.page

    def expect_answer(self, status: int) -> None:
        """Take out what the browser notes of an answer that the test made on purpose."""
        self.problems[:] = [problem for problem in self.problems if str(status) not in problem]

    def say(self, message: str) -> Locator:
        """Say something on the page of conversations; the reply's turn, once it is stored."""
        turns = self.page.locator("article.turn:has(.why)")
        before = turns.count()
        self.page.get_by_label("Message", exact=True).fill(message)
        self.page.keyboard.press("Enter")
        expect(turns).to_have_count(before + 1, timeout=180_000)
        return turns.last

    def serious(self, axe: str) -> list[str]:
        """What axe-core finds serious or critical on the page as it is now."""
        self.page.evaluate(axe)
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
