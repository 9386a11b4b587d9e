"""Pages of memories, conversations, growth and duplicates at the front door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.builders import NOON
from tests.front_door import Open, Telling

from aspen import Aspen, Memory, MemoryItem
from aspen.errors import InvalidInput, ModelMismatch
from aspen.memory_graph import priority_of
from aspen.testing.fake_model import FakeModel
from aspen.types import MemoryType

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def walk(aspen: Aspen, **asked: Any) -> list[Memory]:
    """All pages, one after another."""
    page = aspen.page(**asked)
    memories = list(page.memories)
    while page.next is not None:
        page = aspen.page(**asked, cursor=page.next)
        assert page.memories
        memories += page.memories
    return memories


def texts(memories: Any) -> list[str]:
    return [memory.text for memory in memories]


@pytest.fixture
def filled(aspen: Aspen) -> Aspen:
    """Twelve memories "text 0" to "text 11", which matter the more the later they were stored."""
    aspen.remember_many(
        [
            MemoryItem(
                f"text {n}",
                speaker=("Ann", "Bo")[n % 2],
                conversation=f"talk {n // 4}",
                said_at=NOON + timedelta(days=n),
                importance=n / 11,
                type=MemoryType.SEMANTIC,
                tags=("even",) if n % 2 == 0 else (),
            )
            for n in range(12)
        ]
    )
    return aspen


@pytest.mark.parametrize("limit", [1, 5, 6, 11, 12, 50])
@pytest.mark.parametrize("sort", ["newest", "oldest", "priority", "used"])
def test_pages_have_every_memory_once_in_order(filled: Aspen, sort: str, limit: int) -> None:
    used = filled.page(sort="oldest").memories
    for memory in (used[3], used[9], used[7]):
        filled.repository.touch([memory.seq], at=NOON + timedelta(days=memory.seq))
    expected = {
        "newest": range(11, -1, -1),
        "oldest": range(12),
        "used": [9, 7, 3, 11, 10, 8, 6, 5, 4, 2, 1, 0],
    }
    found = walk(filled, sort=sort, limit=limit)
    if sort == "priority":
        now = datetime.now(UTC)
        priorities = [priority_of(memory, now=now) for memory in found]
        assert priorities == sorted(priorities, reverse=True)
        assert len({memory.id for memory in found}) == 12
    else:
        assert texts(found) == [f"text {n}" for n in expected[sort]]


@pytest.mark.parametrize("sort", ["newest", "oldest", "priority", "used"])
def test_what_comes_and_goes_meanwhile_moves_nothing(filled: Aspen, sort: str) -> None:
    whole = texts(walk(filled, sort=sort))
    first = filled.page(sort=sort, limit=5)
    filled.remember("new and important", importance="high", type="semantic")
    filled.forget(first.memories[-1].id, first.memories[1].id)  # the one that the cursor names, too
    second = filled.page(sort=sort, limit=5, cursor=first.next)
    assert texts(second.memories) == whole[5:10]
    assert second.total == 11
    third = filled.page(sort=sort, limit=5, cursor=second.next)
    rest = [text for text in texts(third.memories) if text != "new and important"]
    assert rest == whole[10:]
    assert third.next is None


@pytest.mark.parametrize("sort", ["newest", "priority"])
def test_a_page_counts_the_whole_list_and_tells_priorities(filled: Aspen, sort: str) -> None:
    page = filled.page(sort=sort, speaker="Ann", limit=2)
    assert (page.total, len(page.memories)) == (6, 2)
    now = datetime.now(UTC)
    expected = [priority_of(memory, now=now) for memory in page.memories]
    assert page.priorities == pytest.approx(expected, abs=1e-6)
    nothing = filled.page(sort=sort, speaker="nobody")
    assert (nothing.memories, nothing.priorities, nothing.next, nothing.total) == ((), (), None, 0)


def test_the_least_priority(filled: Aspen) -> None:
    priorities = filled.page(sort="priority").priorities
    least = (priorities[3] + priorities[4]) / 2
    for sort in ("newest", "oldest", "priority", "used"):
        found = walk(filled, min_priority=least, sort=sort, limit=3)
        assert sorted(texts(found)) == ["text 10", "text 11", "text 8", "text 9"]
        assert filled.page(min_priority=least, sort=sort, limit=3).total == 4
    newest = texts(filled.page(min_priority=least).memories)
    assert newest == texts(filled.page(min_priority=least, sort="oldest").memories)[::-1]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"type": "semantic", "conversation": "talk 1"}, [7, 6, 5, 4]),
        ({"type": "self"}, []),
        ({"tag": "even", "since": NOON + timedelta(days=6)}, [10, 8, 6]),
        ({"until": NOON.replace(tzinfo=None) + timedelta(days=2)}, [1, 0]),
        ({"provenance": "said", "stability": "tentative", "speaker": "Bo", "conversation": "talk 0"}, [3, 1]),
        ({"text": "7"}, [7]),
    ],
    ids=str,
)
def test_filters_meet(filled: Aspen, asked: dict[str, Any], numbers: list[int]) -> None:
    assert texts(filled.page(**asked).memories) == [f"text {n}" for n in numbers]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lisbon", "a"),
        ("LISB", "a"),
        ("li", "ac"),
        ("l", ""),
        ("lis ", ""),
        ("moving", "a"),
        ("Mara moved ", "a"),
        ("mara th", ""),
        ("mara the ", "a"),
        ("lying", "c"),
        ("fri", "bc"),
        ("ann", "a"),  # who said it
        ("may 2023", "b"),  # when
        ("москва", "d"),
        ("моск", "d"),
        ("  ", "abcd"),
        ("?!", "abcd"),
        ("mara, lisbon?", "a"),
    ],
)
def test_a_text_finds_its_words_and_the_beginning_of_its_last(aspen: Aspen, text: str, found: str) -> None:
    items = [
        MemoryItem("Mara is moving to Lisbon", speaker="Ann", source="a"),
        MemoryItem("Fried eggs", said_at=datetime(2023, 5, 4, tzinfo=UTC), source="b"),
        MemoryItem("A friend lies", source="c"),
        MemoryItem("Москва", source="d"),
    ]
    aspen.remember_many(items)
    assert "".join(memory.source or "" for memory in aspen.page(text=text, sort="oldest").memories) == found


@pytest.mark.parametrize(
    "asked",
    [
        {"sort": "loudest"}, {"limit": 0}, {"limit": 10_001}, {"type": "opinion"}, {"tag": ""}, {"speaker": 7},
        {"min_priority": 1.1}, {"min_priority": "high"}, {"since": "today"}, {"text": 7}, {"text": "a\x00"},
        {"text": "a" * 1001}, {"cursor": ""}, {"cursor": 7}, {"cursor": "bm8"}, {"cursor": "é"}, {"cursor": "W10"},
        {"cursor": "x" * 5000}, {"cursor": "WyJ4IiwgMSwgMSwgMV0"}, {"cursor": "W1tdLCB7fSwgW10sIG51bGxd"},
    ],
    ids=lambda asked: str(asked)[:40],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(filled: Aspen, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        filled.page(**asked)


def test_a_cursor_belongs_to_its_list(filled: Aspen) -> None:
    cursor = filled.page(limit=2, speaker="Ann").next
    assert cursor is not None
    assert texts(filled.page(limit=1, speaker="Ann", cursor=cursor).memories) == ["text 6"]
    others: list[dict[str, Any]] = [{}, {"speaker": "Bo"}, {"speaker": "Ann", "sort": "oldest"}]
    for other in [*others, {"speaker": "Ann", "min_priority": 0.1}]:
        with pytest.raises(InvalidInput, match="another order or other filters"):
            filled.page(**other, cursor=cursor)
    assert cursor.isascii() and "text" not in cursor


def test_browsing_needs_no_model(open_aspen: Open, tmp_path: Any) -> None:
    path = tmp_path / "store.db"
    open_aspen(path).remember("x", conversation="c")

    def load() -> Any:
        raise AssertionError("the model was loaded")

    aspen = open_aspen(path)
    aspen._load = load
    assert aspen.page(text="x", sort="priority").total == 1
    assert [one.name for one in aspen.conversations()] == ["c"]
    assert [(one.day, one.memories, one.traces) for one in aspen.growth()] == [
        (datetime.now(UTC).date(), 1, 0)
    ]
    assert aspen.forgetting(aspen.page().memories[0].id).traces == ()


def test_growth_counts_traces(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=Telling())
    assert aspen.growth() == ()
    aspen.chat("Hello")
    (day,) = aspen.growth()
    assert (day.memories, day.traces) == (2, 1)


# Duplicates


def said(aspen: Aspen, *rows: tuple[str, str, str]) -> dict[str, Memory]:
    """By source, text and speaker."""
    items = [MemoryItem(text, speaker=speaker, source=source) for source, text, speaker in rows]
    return dict(zip([row[0] for row in rows], aspen.remember_many(items), strict=True))


def found_pairs(aspen: Aspen, **options: Any) -> list[tuple[str | None, str | None]]:
    return [(pair.first.source, pair.second.source) for pair in aspen.duplicates(**options)]


def test_duplicates_are_found_by_words_and_by_keys(aspen: Aspen) -> None:
    assert aspen.duplicates() == ()
    long = "the quick brown fox jumps over the lazy dog near the old mill by the river"
    rows = [
        ("one", "Mara moved to Lisbon.", "Ann"),
        ("other", "An altogether different thing: 42", "Ann"),
        ("two", "mara moved to  Lisbon", "Ann"),
        ("three", "Mara moved to Lisbon!", "Ann"),
        ("of Bo", "Mara moved to Lisbon.", "Bo"),
        ("long", long, "Bo"),
        ("nearly", long.replace("quick", "quack"), "Bo"),
        ("emoji", "🌱", "Ann"),
        ("emojis", "🌱🌱", "Ann"),
    ]
    memories = said(aspen, *rows)
    equal = found_pairs(aspen, threshold=1.0)
    assert set(equal) == {("one", "two"), ("one", "three")}
    pairs = {(pair.first.source, pair.second.source): pair for pair in aspen.duplicates(threshold=0.0)}
    near = pairs["long", "nearly"]
    assert near.first == memories["long"]
    assert 0.5 < near.similarity < 1
    assert pairs["one", "two"].similarity == 1
    assert ("one", "of Bo") not in pairs
    assert len({second for _, second in pairs}) == len(pairs)  # each beside one other
    similarities = [pair.similarity for pair in aspen.duplicates(threshold=0.0)]
    assert similarities == sorted(similarities, reverse=True)
    assert len(aspen.duplicates(threshold=0.0, limit=1)) == 1


def test_what_was_merged_is_no_duplicate_any_more(aspen: Aspen) -> None:
    memories = said(aspen, ("one", "same", "Ann"), ("two", "Same", "Ann"), ("three", "SAME", "Ann"))
    aspen.merge(memories["two"].id, memories["one"].id)
    assert found_pairs(aspen, threshold=1.0) == [("two", "three")]
    assert found_pairs(aspen, threshold=1.0, among=2) == [("two", "three")]
    aspen.forget(memories["three"].id)
    assert found_pairs(aspen, threshold=1.0) == []


def test_duplicates_need_the_keys_of_the_model_in_use(open_aspen: Open, tmp_path: Any) -> None:
    open_aspen(tmp_path / "store.db").remember("x")
    other = open_aspen(tmp_path / "store.db", model=FakeModel(seed=5))
    with pytest.raises(ModelMismatch, match="rekey"):
        other.duplicates()


@pytest.mark.parametrize(
    "options",
    [{"threshold": 1.1}, {"threshold": None}, {"limit": 0}, {"among": 1}, {"among": 100_001}],
    ids=str,
)
def test_what_no_duplicates_can_be_is_refused(aspen: Aspen, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        aspen.duplicates(**options)
