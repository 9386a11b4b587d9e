"""The list of all memories: its order says what it is, and filters suggest what there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from tests.viewer.conftest import Serve

from aspen import Aspen, Config, MemoryItem
from aspen.testing.fake_model import FakeModel


@pytest.fixture(scope="module")
def aspen(viewer_config: Config) -> Iterator[Aspen]:
    """The newer one of two was stored first."""
    with Aspen.open(":memory:", model=FakeModel(), config=viewer_config) as aspen:
        for text, speaker, tag, year in (("A letter.", "Ann", "post", 2025), ("A diary.", "Bo", "old", 1999)):
            when = datetime(year, 5, 14, tzinfo=UTC)
            aspen.remember_many([MemoryItem(text, speaker, said_at=when, tags=(tag,))])
        yield aspen


def test_the_order_by_age_says_that_it_goes_by_when_things_were_stored(served: Serve, aspen: Aspen) -> None:
    page = served(aspen).go("/memories")
    expect(page.locator(".found-memory .about").first).to_contain_text("1999")
    order = page.get_by_label("Order")
    expect(order.locator("option:checked")).to_have_text("Newest stored")
    order.select_option("Oldest stored")
    expect(page.locator(".found-memory .about").first).to_contain_text("2025")


def test_filters_suggest_tags_and_speakers(served: Serve, aspen: Aspen) -> None:
    page = served(aspen).go("/memories?tag=old")
    expect(page.locator(".found-memory")).to_have_count(1)
    page.get_by_label("Tag", exact=True).fill("")
    expect(page.locator(".found-memory")).to_have_count(2)
    page.get_by_label("Speaker", exact=True).fill("Ann")
    expect(page.locator(".found-memory")).to_have_count(1)
    for name, there in (("Tag", ["old", "post"]), ("Speaker", ["Ann", "Bo"])):
        offered = page.get_by_label(name, exact=True).evaluate(
            "(one) => [...one.list.options].map(({value}) => value)"
        )
        assert offered == there
