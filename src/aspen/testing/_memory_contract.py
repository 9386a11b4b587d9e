"""The contract of stores: memories."""

# the name of a test says what must hold

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from aspen.errors import InvalidInput, NotFound
from aspen.repository import NEXT, Conversation, NewMemory, Repository, edges_of
from aspen.testing.repository_builders import (
    NOON,
    STAMP,
    accesses_of,
    new_memory,
    new_trace,
)
from aspen.types import Edge, Emotion, Memory, MemoryItem, MemoryType, Provenance, Stability


class MemoryContract:
    """Tests of `MemoryStore` and `TraceStore`."""

    def test_what_was_added_comes_back(self, store: Repository) -> None:
        new = NewMemory(
            id="m1",
            item=MemoryItem(
                text="Zoë said:\n\t'it\u2019s 5 µm' 🌱",
                speaker="Zoë",
                said_at=datetime(1969, 7, 20, 20, 17, 40, 123457, tzinfo=UTC),
                conversation="moon",
                source="chat.jsonl:12",
                provenance=Provenance.IMPORTED,
            ),
            created_at=NOON,
            token_count=12,
            terms=("zoë", "said", "zoë"),
            key=b"12345678",
        )
        (memory,) = store.add([new])
        assert memory == Memory(
            id="m1",
            seq=memory.seq,
            text="Zoë said:\n\t'it\u2019s 5 µm' 🌱",
            speaker="Zoë",
            said_at=datetime(1969, 7, 20, 20, 17, 40, 123457, tzinfo=UTC),
            conversation="moon",
            source="chat.jsonl:12",
            provenance=Provenance.IMPORTED,
            created_at=NOON,
            token_count=12,
        )
        assert isinstance(memory.provenance, Provenance)
        assert store.get(["m1"]) == [memory]
        assert store.get_by_seq([memory.seq]) == [memory]

    def test_a_memory_keeps_what_kind_it_is(self, store: Repository) -> None:
        (plain,) = store.add([new_memory("plain")])
        assert (plain.type, plain.stability, plain.importance) == ("episodic", "tentative", 0.6)
        assert (plain.emotion, plain.tags, plain.accessed_at, plain.access_count) == (None, (), None, 0)
        (memory,) = store.add(
            [
                new_memory(
                    "m",
                    type=MemoryType.BELIEF,
                    stability=Stability.CANONICAL,
                    importance=1 / 3,
                    emotion=Emotion('"joy" é', 0.1),
                    tags=("é", 'a "b"', "é", "a, b"),
                )
            ]
        )
        assert (memory.type, memory.stability) == (MemoryType.BELIEF, Stability.CANONICAL)
        assert isinstance(memory.type, MemoryType) and isinstance(memory.stability, Stability)
        assert (memory.importance, memory.emotion) == (1 / 3, Emotion('"joy" é', 0.1))
        assert memory.tags == ('a "b"', "a, b", "é")
        assert store.get(["m"]) == store.list(limit=1) == [memory]
        rows = store.changes(0).memories
        assert (rows.types, rows.stabilities) == (["episodic", "belief"], ["tentative", "canonical"])
        assert (rows.importances.tolist(), rows.emotions.tolist()) == ([0.6, 1 / 3], [0.0, 0.1])
        assert rows.tags == [(), memory.tags]
        assert rows.created_at.tolist() == [int(NOON.timestamp()) * 1_000_000] * 2
        assert rows.importances.dtype == rows.emotions.dtype == np.float64

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "opinion"},
            {"stability": ""},
            {"importance": 1.01},
            {"importance": float("nan")},
            {"importance": True},
            {"emotion": Emotion("joy", -0.1)},
            {"emotion": Emotion("", 0.5)},
            {"emotion": "joy"},
            {"tags": "abc"},
            {"tags": ("a\nb",)},
            {"tags": (None,)},
            {"tags": tuple(map(str, range(101)))},
        ],
        ids=str,
    )
    def test_kinds_that_there_are_not_are_refused(self, store: Repository, part: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            store.add([new_memory("a"), new_memory("b", **part)])
        assert store.stats().memories == 0

    def test_accesses_are_counted(self, store: Repository) -> None:
        a, b, c = (memory.seq for memory in store.add([new_memory(id_) for id_ in "abc"]))
        before = store.revision()
        later = NOON + timedelta(days=1)
        store.touch([a, b, a, c + 1, 2**70], at=later)
        store.touch([b], at=NOON)
        memories = store.get(["a", "b", "c"])
        assert [memory.access_count for memory in memories] == [2, 2, 0]
        assert [memory.accessed_at for memory in memories] == [later, later, None]
        assert store.revision() == before + 2
        changes = store.changes(before + 1)
        assert accesses_of(changes.accesses) == {b: (2, int(later.timestamp()) * 1_000_000)}
        assert len(changes.memories.seqs) == 0
        store.touch([], at=NOON)
        store.touch([c + 1], at=NOON)
        assert store.revision() == before + 2
        store.forget(["a"])
        assert list(accesses_of(store.changes(0).accesses)) == [b]
        with pytest.raises(InvalidInput):
            store.touch([b], at=None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("year", [1, 9999])
    def test_times_keep_their_microseconds_at_both_ends_of_the_calendar(
        self, store: Repository, year: int
    ) -> None:
        time = datetime(year, 6, 1, 3, 4, 5, 999_999, tzinfo=UTC)
        assert store.add([new_memory("m", said_at=time)])[0].said_at == time

    def test_times_come_back_in_utc(self, store: Repository) -> None:
        kyiv = NOON.astimezone(timezone(timedelta(hours=2)))
        naive = NOON.replace(tzinfo=None)
        first, second = store.add([new_memory("a", said_at=kyiv), new_memory("b", said_at=naive)])
        assert first.said_at == second.said_at == NOON
        assert first.said_at is not None and first.said_at.tzinfo == UTC

    def test_add_answers_in_input_order_and_stores_an_id_once(self, store: Repository) -> None:
        (old,) = store.add([new_memory("old", "the first text")])
        added = store.add(
            [new_memory("b"), new_memory("old", "another text"), new_memory("a"), new_memory("b", "x")]
        )
        assert [memory.id for memory in added] == ["b", "old", "a", "b"]
        assert added[1] == old
        assert added[0] == added[3]
        assert store.stats().memories == 3

    def test_seqs_ascend_and_are_never_used_twice(self, store: Repository) -> None:
        first, second = store.add([new_memory("a"), new_memory("b")])
        store.forget(["b"])
        (third,) = store.add([new_memory("b")])
        assert 0 < first.seq < second.seq < third.seq

    def test_each_memory_of_a_conversation_follows_the_one_before(self, store: Repository) -> None:
        rows = [("a1", "a"), ("b1", "b"), ("none1", None), ("a2", "a"), ("none2", None), ("a3", "a")]
        store.add([new_memory(id_, conversation=name) for id_, name in rows[:3]])
        added = store.add([new_memory(id_, conversation=name) for id_, name in rows])
        seq = {memory.id: memory.seq for memory in added}
        edges = edges_of(store.changes(0).edges)
        assert edges == [Edge(seq["a1"], seq["a2"], NEXT, 1.0), Edge(seq["a2"], seq["a3"], NEXT, 1.0)]

    def test_after_forgetting_the_next_memory_follows_the_newest_that_is_left(
        self, store: Repository
    ) -> None:
        first, *_ = store.add([new_memory(id_, conversation="c") for id_ in ("a", "b")])
        store.forget(["b"])
        (third,) = store.add([new_memory("c", conversation="c")])
        assert edges_of(store.changes(0).edges) == [Edge(first.seq, third.seq, NEXT, 1.0)]

    def test_forgetting_within_a_conversation_leaves_one_chain(self, store: Repository) -> None:
        added = store.add([new_memory(id_, conversation="d" if id_ in "bg" else "c") for id_ in "abcdefgh"])
        seq = {memory.id: memory.seq for memory in added}
        for gone, chains in (
            (["c"], ["ad", "de", "ef", "fh", "bg"]),
            (["e", "d"], ["af", "fh", "bg"]),
            (["a", "h"], ["bg"]),
            (["f", "b"], []),
        ):
            before = store.revision()
            store.forget(gone)
            assert store.revision() == before + 1
            edges = edges_of(store.changes(0).edges)
            assert {(edge.source, edge.target) for edge in edges} == {
                (seq[pair[0]], seq[pair[1]]) for pair in chains
            }
            assert {(edge.type, edge.weight) for edge in edges} <= {(NEXT, 1.0)}
        assert store.check() == []

    def test_adding_nothing_changes_nothing(self, store: Repository) -> None:
        store.add([new_memory("a", conversation="c")])
        before = store.revision()
        assert store.add([]) == []
        store.add([new_memory("a", conversation="c")])
        assert store.revision() == before

    def test_known_ids(self, store: Repository) -> None:
        store.add([new_memory("a"), new_memory("b")])
        assert store.known(["b", "x", "b", "\ud800", "a\x00"]) == {"b"}
        assert store.known([]) == set()

    def test_get_names_the_first_unknown_id(self, store: Repository) -> None:
        store.add([new_memory("a")])
        assert [memory.id for memory in store.get(["a", "a"])] == ["a", "a"]
        with pytest.raises(NotFound) as caught:
            store.get(["a", "zzz", "yyy"])
        assert caught.value.details["id"] == "zzz"

    def test_get_by_seq_leaves_out_what_is_gone(self, store: Repository) -> None:
        a, b, c = (memory.seq for memory in store.add([new_memory("a"), new_memory("b"), new_memory("c")]))
        store.forget(["b"])
        found = store.get_by_seq([c, b, a, c, 2**70, -1, 0])
        assert [memory.seq for memory in found] == [c, a, c]

    def test_seqs_may_be_numpy_integers(self, store: Repository) -> None:
        store.add([new_memory("a", conversation="c"), new_memory("b", conversation="c")])
        seqs = store.changes(0).memories.seqs
        assert [memory.id for memory in store.get_by_seq(seqs[::-1])] == ["b", "a"]  # type: ignore[arg-type]
        assert len(store.out_edges(seqs, fan=3).sources) == 1  # type: ignore[arg-type]
        store.relate([Edge(seqs[1], seqs[0], "causes", np.float64(0.5))])
        store.add_keys(STAMP, {seqs[0]: b"8 bytes!"})

    def test_list_is_newest_first_and_filtered(self, store: Repository) -> None:
        said = [
            ("a", "c1", "Ann"),
            ("b", "c1", "Bob"),
            ("c", "c2", "Ann"),
            ("d", None, "Ann"),
            ("e", "c1", "Ann"),
        ]
        added = store.add([new_memory(id_, conversation=name, speaker=who) for id_, name, who in said])

        def ids(**filters: Any) -> str:
            return "".join(memory.id for memory in store.list(**filters))

        assert ids() == "edcba"
        assert ids(limit=2) == "ed"
        assert ids(conversation="c1") == "eba"
        assert ids(speaker="Ann") == "edca"
        assert ids(conversation="c1", speaker="Ann") == "ea"
        assert ids(before=added[3].seq) == "cba"
        assert ids(conversation="c1", before=added[4].seq, limit=1) == "b"
        assert ids(conversation="C1") == ids(speaker="' OR 1=1 --") == ids(before=0) == ""
        assert ids(before=2**70) == "edcba"

    @pytest.mark.parametrize("limit", [0, -1, 10_001, 1.5, True])
    def test_limits_are_checked(self, store: Repository, limit: int) -> None:
        for call in (store.list, store.traces):
            with pytest.raises(InvalidInput):
                call(limit=limit)
        with pytest.raises(InvalidInput):
            store.missing_keys(STAMP, limit=limit)
        with pytest.raises(InvalidInput):
            store.out_edges([1], fan=limit)

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "\ud800", "x" * 501, 7, ["c"]])
    def test_names_that_no_memory_can_have_are_refused(self, store: Repository, name: Any) -> None:
        store.add([new_memory("a", conversation="c", trace_id="t")], trace=new_trace("t", conversation="c"))
        with pytest.raises(InvalidInput):
            store.list(conversation=name)
        with pytest.raises(InvalidInput):
            store.list(speaker=name)
        with pytest.raises(InvalidInput):
            store.traces(conversation=name)

    @pytest.mark.parametrize("name", [None, 7, b"t", ["t"]])
    def test_what_is_no_name_is_refused(self, store: Repository, name: Any) -> None:
        with pytest.raises(InvalidInput):
            store.trace(name)
        with pytest.raises(InvalidInput):
            store.statistics(name)

    @pytest.mark.parametrize("name", ["", "a\x00", "\ud800", "x" * 501])
    def test_what_can_have_no_such_name_is_not_there(self, store: Repository, name: str) -> None:
        with pytest.raises(NotFound):
            store.trace(name)
        assert store.statistics(name) is None

    def test_conversations_in_the_order_of_their_last_memory(self, store: Repository) -> None:
        rows = [("a", "old"), ("b", "new"), ("c", None), ("d", "old")]
        a, b, _, d = (m.seq for m in store.add([new_memory(id_, conversation=name) for id_, name in rows]))
        assert store.conversations() == [Conversation("old", 2, a, d), Conversation("new", 1, b, b)]
        store.forget(["d"])
        assert [conversation.name for conversation in store.conversations()] == ["new", "old"]

    def test_forgetting_takes_everything_that_hangs_on_a_memory(self, store: Repository) -> None:
        a, b, c = store.add([new_memory(id_, conversation="c", terms=("word", id_)) for id_ in "abc"])
        store.relate([Edge(c.seq, b.seq, "causes", 0.5), Edge(a.seq, c.seq, "causes", 0.5)])
        assert store.forget(["b", "b"]) == 0
        assert [memory.id for memory in store.list()] == ["c", "a"]
        word, gone = store.postings(["word", "b"])
        assert word.seqs.tolist() == [a.seq, c.seq]
        assert gone.seqs.tolist() == []
        assert edges_of(store.changes(0).edges) == [
            Edge(a.seq, c.seq, "causes", 0.5),
            Edge(a.seq, c.seq, NEXT, 1.0),
        ]
        assert store.changes(0).memories.seqs.tolist() == [a.seq, c.seq]
        assert store.check() == []

    def test_forgetting_an_unknown_id_deletes_nothing(self, store: Repository) -> None:
        store.add([new_memory("a")])
        before = store.revision()
        with pytest.raises(NotFound) as caught:
            store.forget(["a", "nobody"])
        assert caught.value.details["id"] == "nobody"
        assert store.revision() == before
        assert store.forget([]) == 0
        assert store.stats().memories == 1

        assert store.stats().memories == 0

    @pytest.mark.parametrize(
        "bad",
        [
            {"text": "nul\x00"}, {"text": "\ud800"}, {"text": " "}, {"text": 5}, {"text": "x" * 100_001},
            {"speaker": "a\nb"}, {"speaker": "\udfff"}, {"conversation": ""}, {"source": "x" * 501},
            {"provenance": "dreamt"}, {"said_at": "yesterday"},
        ],
    )  # fmt: skip
    def test_items_that_cannot_be_stored_are_refused(self, store: Repository, bad: Mapping[str, Any]) -> None:
        new = new_memory("b")
        with pytest.raises(InvalidInput):
            store.add([new_memory("a"), replace(new, item=replace(new.item, **bad))])
        assert store.stats().memories == 0

    @pytest.mark.parametrize(
        "bad",
        [
            {"id": ""}, {"id": "a\x00"}, {"id": None}, {"token_count": -1}, {"token_count": 2**31},
            {"token_count": 1.5}, {"created_at": None}, {"trace_id": ""},
        ],
    )  # fmt: skip
    def test_memories_that_cannot_be_stored_are_refused(
        self, store: Repository, bad: Mapping[str, Any]
    ) -> None:
        with pytest.raises(InvalidInput):
            store.add([new_memory("a"), replace(new_memory("b"), **bad)])
        assert store.stats().memories == 0
