"""The contract of stores: looking through memories."""

# the name of a test says what must hold

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from aspen.errors import InvalidInput
from aspen.repository import DayCount, MemoryFilter, PriorityRows, Repository
from aspen.testing.repository_builders import NOON, new_memory, new_trace
from aspen.types import Emotion, MemoryType, Provenance, Stability


def fill(store: Repository) -> None:
    """Six memories, a to f, in which everything occurs that can be asked for."""
    day = timedelta(days=1)
    rows: list[dict[str, Any]] = [
        {"type": "belief", "tags": ("x", "é"), "terms": ("mara", "lisbon"), "said_at": NOON - 9 * day},
        {"conversation": "c", "speaker": "Ann", "terms": ("mara", "porto", "mara"), "created_at": NOON + day},
        {"conversation": "c", "speaker": "Bob", "stability": "canonical", "terms": ("lisbon", "listen")},
        {"conversation": "d", "speaker": "Ann", "provenance": "generated", "said_at": NOON - day},
        {"type": "belief", "speaker": "Ann", "tags": ('a "b"',), "terms": ("北京", "é")},
        {"importance": 0.25, "emotion": Emotion("joy", 0.5), "terms": ("mara",), "created_at": NOON - day},
    ]
    store.add([new_memory(name, **row) for name, row in zip("abcdef", rows, strict=True)])


class BrowsingContract:
    """Tests of `BrowsingStore`."""

    @pytest.mark.parametrize(
        ("wanted", "fitting"),
        [
            ({}, "abcdef"),
            ({"type": MemoryType.BELIEF}, "ae"),
            ({"type": MemoryType.SELF}, ""),
            ({"tag": "é"}, "a"),
            ({"tag": 'a "b"'}, "e"),
            ({"tag": "a"}, ""),
            ({"speaker": "Ann"}, "bde"),
            ({"speaker": "' OR 1=1 --"}, ""),
            ({"conversation": "c"}, "bc"),
            ({"conversation": "c", "speaker": "Ann"}, "b"),
            ({"provenance": Provenance.GENERATED}, "d"),
            ({"stability": Stability.CANONICAL}, "c"),
            ({"since": NOON}, "bce"),  # said, or else stored
            ({"until": NOON}, "adf"),
            ({"since": NOON - timedelta(days=1), "until": NOON}, "df"),
            ({"since": datetime(1, 1, 1, tzinfo=UTC)}, "abcdef"),
            ({"words": ("mara",)}, "abf"),
            ({"words": ("mara", "porto")}, "b"),
            ({"words": ("mara", "mara")}, "abf"),
            ({"words": ("mar",)}, ""),
            ({"words": ("é",)}, "e"),
            ({"words": ("mara", "\ud800")}, ""),
            ({"words": ("mara\x00",)}, ""),
            ({"beginning": "lis"}, "ac"),
            ({"beginning": "list"}, "c"),
            ({"beginning": "lisbon"}, "ac"),
            ({"beginning": "北"}, "e"),
            ({"beginning": ""}, "abcef"),
            ({"beginning": "%"}, ""),
            ({"beginning": "\udc00"}, ""),
            ({"words": ("mara",), "beginning": "p"}, "b"),
            ({"words": ("mara",), "type": MemoryType.BELIEF, "until": NOON}, "a"),
        ],
        ids=str,
    )
    def test_what_fits_is_found(self, store: Repository, wanted: dict[str, Any], fitting: str) -> None:
        fill(store)
        asked = MemoryFilter(**wanted)
        assert "".join(memory.id for memory in store.page(asked, newest_first=False, limit=9)) == fitting
        assert "".join(memory.id for memory in store.page(asked, limit=9)) == fitting[::-1]
        assert store.count(asked) == len(fitting)
        by_seq = {memory.seq: memory.id for memory in store.list()}
        assert "".join(by_seq[seq] for seq in store.priority_rows(asked).seqs.tolist()) == fitting

    def test_pages_go_on_beyond_a_seq(self, store: Repository) -> None:
        fill(store)
        seqs = {memory.id: memory.seq for memory in store.list()}
        everything = MemoryFilter()

        def ids(**where: Any) -> str:
            return "".join(memory.id for memory in store.page(everything, **where))

        assert ids(limit=2) == "fe"
        assert ids(beyond=seqs["e"], limit=2) == "dc"
        assert ids(newest_first=False, beyond=seqs["b"], limit=3) == "cde"
        store.forget(["e"])
        store.add([new_memory("g")])
        assert ids(beyond=seqs["e"], limit=2) == "dc"
        assert ids(beyond=0, limit=2) == ids(beyond=-(2**70), limit=2) == ""
        assert ids(newest_first=False, beyond=2**70, limit=2) == ""
        assert ids(beyond=2**70, limit=1) == "g"
        assert ids(newest_first=False, beyond=-1, limit=1) == "a"
        assert store.count(everything) == 6

    @pytest.mark.parametrize(
        "wanted",
        [
            {"type": "opinion"},
            {"stability": ""},
            {"provenance": 7},
            {"tag": ""},
            {"speaker": "a\nb"},
            {"conversation": "\ud800"},
            {"since": "yesterday"},
            {"until": 5},
            {"words": (None,)},
            {"beginning": 3},
        ],
        ids=str,
    )
    def test_what_no_memory_can_be_is_refused(self, store: Repository, wanted: dict[str, Any]) -> None:
        fill(store)
        asked = MemoryFilter(**wanted)
        for look in (lambda: store.page(asked, limit=1), lambda: store.count(asked)):
            with pytest.raises(InvalidInput):
                look()
        with pytest.raises(InvalidInput):
            store.priority_rows(asked)

    @pytest.mark.parametrize("limit", [0, 10_001, True])
    def test_the_limit_of_a_page_is_checked(self, store: Repository, limit: int) -> None:
        with pytest.raises(InvalidInput):
            store.page(MemoryFilter(), limit=limit)

    def test_what_priority_follows_from(self, store: Repository) -> None:
        fill(store)
        seqs = {memory.id: memory.seq for memory in store.list()}
        later = NOON + timedelta(days=2)
        store.touch([seqs["a"], seqs["a"]], at=later)
        rows = store.priority_rows(MemoryFilter())
        assert rows.types == ["belief", "episodic", "episodic", "episodic", "belief", "episodic"]
        assert rows.stabilities[2:4] == ["canonical", "tentative"]
        assert rows.importances.tolist() == [0.6, 0.6, 0.6, 0.6, 0.6, 0.25]
        assert rows.emotions.tolist() == [0, 0, 0, 0, 0, 0.5]
        assert rows.counts.tolist() == [2, 0, 0, 0, 0, 0]
        stored = [memory.created_at for memory in store.page(MemoryFilter(), newest_first=False, limit=9)]
        times = [int(time.timestamp()) * 1_000_000 for time in [later, *stored[1:]]]
        assert rows.used_at.tolist() == times
        columns = (rows.seqs, rows.importances, rows.emotions, rows.counts, rows.used_at)
        assert [column.dtype for column in columns] == [np.int64, np.float64, np.float64, np.int64, np.int64]
        nothing = store.priority_rows(MemoryFilter(speaker="nobody"))
        assert isinstance(nothing, PriorityRows)
        assert nothing.types == nothing.seqs.tolist() == nothing.emotions.tolist() == []

    def test_growth_by_day(self, store: Repository) -> None:
        assert store.growth() == []
        midnight = datetime(2026, 11, 20, tzinfo=UTC)
        times = [midnight, midnight - timedelta(microseconds=1), datetime(1, 1, 1, tzinfo=UTC), NOON]
        store.add([new_memory(str(number), created_at=time) for number, time in enumerate(times)])
        store.add(
            [new_memory("last", created_at=datetime(1969, 12, 31, 23, tzinfo=UTC), trace_id="t")],
            trace=new_trace("t"),
        )
        assert store.growth() == [
            DayCount(date(1, 1, 1), 1, 0),
            DayCount(date(1969, 12, 31), 1, 0),
            DayCount(date(2026, 11, 19), 1, 0),
            DayCount(date(2026, 11, 20), 2, 1),
        ]
        store.forget(["last", "2"])
        assert [day.day.year for day in store.growth()] == [2026, 2026]
