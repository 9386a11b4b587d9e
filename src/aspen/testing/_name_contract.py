"""The contract of stores: subjects, mentions and traits."""

# the name of a test says what must hold

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aspen.errors import InvalidInput
from aspen.repository import MAX_NAME_LENGTH, Mention, Repository
from aspen.testing.repository_builders import (
    STAMP,
    OpenStore,
    mentions_of,
    new_memory,
    traits_of,
)

_NAMES = [
    "lake tana", " lake", "lake ", "a  b", "o'neill", "'; DROP TABLE mention; --", '"quoted"', "%", "_", "*", "a:b",
    "NEAR", "straße", "na\u00efve", "nai\u0308ve", "北京", "🌱", "\u00a0x", "\U0010ffff", "null", "1", "1.0",
    "x" * MAX_NAME_LENGTH, "北" * MAX_NAME_LENGTH,
]  # fmt: skip
"""Names that a comparison or a query language could fold, trim, convert or take for something else."""
_NO_NAMES = ["", " ", "a\nb", "a\tb", "a\x00", "a\x85", "\ud800", "x\udfff", "x" * (MAX_NAME_LENGTH + 1)]
_LIMIT = 10


class NameContract:
    """Tests of `NameStore`, and of subjects and traits in `Changes`."""

    def test_mentions_of_memories(self, store: Repository) -> None:
        a, b, c = store.add(
            [
                new_memory(
                    "a", terms=("x",) * 9, mentions=(Mention("z", 4, 9), Mention("b", 4, 6), Mention("c", 0, 4))
                ),
                new_memory("b", terms=("x",), mentions=(Mention("z", 0, 0), Mention("z", 1, 1))),
                new_memory("c"),
            ]
        )  # fmt: skip
        of_a = [(a.seq, Mention("c", 0, 4)), (a.seq, Mention("b", 4, 6)), (a.seq, Mention("z", 4, 9))]
        of_b = [(b.seq, Mention("z", 0, 0)), (b.seq, Mention("z", 1, 1))]
        found = store.mentions([b.seq, 2**70, c.seq, a.seq, b.seq, -1, c.seq + 9])
        assert mentions_of(found) == of_a + of_b
        dtypes = [found.seqs.dtype, found.starts.dtype, found.stops.dtype]
        assert dtypes == [np.int64, np.int32, np.int32]
        assert mentions_of(store.mentions(found.seqs[:1])) == of_a  # type: ignore[arg-type]
        nothing = store.mentions([])
        assert mentions_of(nothing) == []
        assert [nothing.seqs.dtype, nothing.starts.dtype, nothing.stops.dtype] == dtypes

    def test_a_name_in_several_sentences_is_found_at_the_first(self, store: Repository) -> None:
        """Whatever the order in which they were given; of two with one start the first counts."""
        (memory,) = store.add(
            [
                new_memory(
                    "a",
                    conversation="c",
                    terms=("x",) * 20,
                    mentions=(
                        Mention("ann", 10, 20),
                        Mention("bob", 3, 10),
                        Mention("ann", 3, 10),
                        Mention("ann", 3, 4),
                        Mention("bob", 0, 3),
                    ),
                )
            ]
        )
        for place in (None, "c"):
            found = mentions_of(store.mentioning(["ann", "bob"], conversation=place, limit=_LIMIT))
            assert found == [(memory.seq, Mention("ann", 3, 10)), (memory.seq, Mention("bob", 0, 3))]
        assert mentions_of(store.mentions([memory.seq])) == [
            (memory.seq, mention)
            for mention in (
                Mention("bob", 0, 3),
                Mention("ann", 3, 10),
                Mention("bob", 3, 10),
                Mention("ann", 10, 20),
            )
        ]

    def test_mentioning_gives_the_oldest_for_each_name_in_the_order_asked(self, store: Repository) -> None:
        ann, bob = Mention("ann", 0, 1), Mention("bob", 1, 2)
        rows = [
            ("a", (ann,)),
            ("b", (bob, ann)),
            ("c", ()),
            ("d", (ann, Mention("ann", 1, 2))),
            ("e", (bob,)),
        ]
        a, b, _, d, e = (
            memory.seq
            for memory in store.add([new_memory(id_, terms=("x", "y"), mentions=own) for id_, own in rows])
        )
        everything = [(b, bob), (e, bob), (a, ann), (b, ann), (d, ann)]
        assert mentions_of(store.mentioning(["bob", "nobody", "ann"], limit=_LIMIT)) == everything
        # A memory with two mentions takes one place of the limit.
        assert mentions_of(store.mentioning(["ann", "bob"], limit=3)) == everything[2:] + everything[:2]
        assert mentions_of(store.mentioning(["ann", "bob"], limit=1)) == [(a, ann), (b, bob)]
        assert mentions_of(store.mentioning(["ann", "ann"], limit=1)) == [(a, ann), (a, ann)]
        assert mentions_of(store.mentioning([], limit=1)) == []

    def test_a_subject_is_no_mention(self, store: Repository) -> None:
        rows = [("a", "ann"), ("b", None), ("c", "bob"), ("d", "ann")]
        a, _, c, d = (
            memory.seq for memory in store.add([new_memory(id_, subject=name) for id_, name in rows])
        )
        everything = [(c, Mention("bob", 0, 0)), (a, Mention("ann", 0, 0)), (d, Mention("ann", 0, 0))]
        found = store.about(["bob", "nobody", "ann"], limit=_LIMIT)
        assert mentions_of(found) == everything
        assert [found.seqs.dtype, found.starts.dtype, found.stops.dtype] == [np.int64, np.int32, np.int32]
        assert mentions_of(store.about(["ann", "ann"], limit=1)) == [everything[1]] * 2
        assert mentions_of(store.mentioning(["ann", "bob"], limit=_LIMIT)) == []
        assert mentions_of(store.mentions([a, c, d])) == []
        assert store.changes(0).memories.subjects == ["ann", None, "bob", "ann"]

    def test_names_within_one_conversation(self, store: Repository) -> None:
        """Conversations that alternate, and one that begins where another has ended."""
        places = ["c1", None, "c2", "c1", "c2", "c1", "c3", "c3"]
        memories = store.add(
            [
                new_memory(str(number), conversation=place, subject="ann", mentions=(Mention("ann", 0, 0),))
                for number, place in enumerate(places)
            ]
        )
        for place in ("c1", "c2", "c3"):
            own = [(m.seq, Mention("ann", 0, 0)) for m in memories if m.conversation == place]
            for find in (store.mentioning, store.about):
                assert mentions_of(find(["ann"], conversation=place, limit=_LIMIT)) == own
                assert mentions_of(find(["ann", "bob"], conversation=place, limit=2)) == own[:2]
        for find in (store.mentioning, store.about):
            assert len(find(["ann"], limit=_LIMIT).seqs) == len(places)
            assert mentions_of(find(["ann"], conversation="C1", limit=_LIMIT)) == []

    @pytest.mark.parametrize("name", _NAMES)
    def test_names_are_compared_character_by_character(self, store: Repository, name: str) -> None:
        memory, other = store.add(
            [
                new_memory("a", subject=name, mentions=(Mention(name, 0, 0),)),
                new_memory("b", subject="other", mentions=(Mention("other", 0, 0),)),
            ]
        )
        own = [(memory.seq, Mention(name, 0, 0))]
        forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")}
        others = sorted({name + "x", name[:-1], name.upper(), name.lower(), name.strip(), *forms} - {name})
        for find in (store.mentioning, store.about):
            assert mentions_of(find([name], limit=_LIMIT)) == own
            assert mentions_of(find(others, limit=_LIMIT)) == []
        assert mentions_of(store.mentions([memory.seq])) == own
        assert store.changes(0).memories.subjects == [name, "other"]
        assert memory.seq < other.seq

    @pytest.mark.parametrize("name", _NO_NAMES)
    def test_what_is_no_name_is_not_stored_and_not_found(self, store: Repository, name: str) -> None:
        store.add([new_memory("a", subject="x", mentions=(Mention("x", 0, 0),))])
        for bad in (new_memory("c", subject=name), new_memory("c", mentions=(Mention(name, 0, 0),))):
            with pytest.raises(InvalidInput):
                store.add([new_memory("b"), bad])
        assert store.stats().memories == 1
        for find in (store.mentioning, store.about):
            assert find([name, "x"], limit=_LIMIT).names == ["x"]
            assert find([name, "x"], conversation="c", limit=_LIMIT).names == []

    @pytest.mark.parametrize("name", [None, 7, b"x", ["x"]])
    def test_names_of_another_kind_are_refused(self, store: Repository, name: Any) -> None:
        with pytest.raises(InvalidInput):
            store.add([new_memory("a", mentions=(Mention(name, 0, 0),))])
        for find in (store.mentioning, store.about):
            with pytest.raises(InvalidInput):
                find(["x", name], limit=_LIMIT)
        assert store.stats().memories == 0

    @pytest.mark.parametrize(
        ("start", "stop"), [(-1, 1), (1, 0), (0, 3), (3, 3), (0.0, 1), (0, 1.5), (None, 1), (False, True)]
    )
    def test_a_mention_lies_within_its_memory(self, store: Repository, start: Any, stop: Any) -> None:
        with pytest.raises(InvalidInput):
            store.add([new_memory("a", terms=("x", "y"), mentions=(Mention("ann", start, stop),))])
        assert store.stats().memories == 0

    @pytest.mark.parametrize("limit", [0, -1, 10_001, 1.5, True])
    def test_limits_of_names_are_checked(self, store: Repository, limit: int) -> None:
        for find in (store.mentioning, store.about):
            with pytest.raises(InvalidInput):
                find(["x"], limit=limit)

    @pytest.mark.parametrize("conversation", ["", "a\x00", "\ud800", 7])
    def test_conversations_that_cannot_be_are_refused(self, store: Repository, conversation: Any) -> None:
        for find in (store.mentioning, store.about):
            with pytest.raises(InvalidInput):
                find(["x"], conversation=conversation, limit=_LIMIT)

    def test_names_go_with_their_memory(self, store: Repository) -> None:
        rows = [
            new_memory(id_, subject="ann", mentions=(Mention("bob", 0, 0), Mention(id_, 0, 0)), traits={"t": 0.5})
            for id_ in "abc"
        ]  # fmt: skip
        a, b, c = (memory.seq for memory in store.add(rows))
        store.forget(["b"])
        assert store.mentioning(["bob", "b"], limit=2).seqs.tolist() == [a, c]
        assert store.about(["ann"], limit=_LIMIT).seqs.tolist() == [a, c]
        assert store.mentions([a, b, c]).seqs.tolist() == [a, a, c, c]
        assert traits_of(store.changes(0).traits) == [(a, "t", 0.5), (c, "t", 0.5)]
        assert store.check() == []
        (again,) = store.add([new_memory("b")])
        assert store.mentions([b, again.seq]).names == []

    def test_names_of_a_memory_that_is_stored_stay_as_they_are(self, store: Repository) -> None:
        first = new_memory("a", subject="ann", mentions=(Mention("bob", 0, 0),), traits={"old": 1})
        second = replace(first, subject="eve", mentions=(Mention("dan", 0, 0),), traits={"new": 1})
        store.add([first, second])
        store.add([second])
        assert store.about(["ann", "eve"], limit=_LIMIT).names == ["ann"]
        assert store.mentioning(["bob", "dan"], limit=_LIMIT).names == ["bob"]
        assert store.changes(0).traits.names == ["old"]

    def test_nothing_is_kept_of_what_was_refused(self, store: Repository) -> None:
        good = new_memory("a", subject="ann", mentions=(Mention("ann", 0, 0),), traits={"t": 1})
        with pytest.raises(InvalidInput):
            store.add([good, new_memory("b", key=b"of another length")])
        assert store.about(["ann"], limit=_LIMIT).names == []
        assert store.mentioning(["ann"], limit=_LIMIT).names == []

    def test_a_new_store_has_no_names(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert mentions_of(store.mentions([1, 2])) == []
            assert mentions_of(store.mentioning(["x"], limit=_LIMIT)) == []
            assert mentions_of(store.about(["x"], conversation="c", limit=_LIMIT)) == []
            assert traits_of(store.changes(0).traits) == []

    # Traits

    def test_traits_come_with_their_memories(self, store: Repository) -> None:
        traits = {"statement": 1, "question": 0.1, "Ünï 'quoted'": 1e-30}
        a, b, c = store.add(
            [new_memory("a", traits=traits), new_memory("b"), new_memory("c", traits={"x": 1.0})]
        )
        traits["statement"] = 0  # a store keeps what it was given, not who gave it
        found = store.changes(0).traits
        assert found.seqs.tolist() == [a.seq, a.seq, a.seq, c.seq]
        assert found.names == ["question", "statement", "Ünï 'quoted'", "x"]
        assert found.values.tolist() == [np.float32(value) for value in (0.1, 1, 1e-30, 1)]
        assert [found.seqs.dtype, found.values.dtype] == [np.int64, np.float32]
        assert a.seq < b.seq

    def test_changes_hand_over_the_traits_of_memories_that_are_new_or_have_a_new_key(
        self, store: Repository
    ) -> None:
        a, b = store.add([new_memory(id_, traits={"x": 0.5, id_: 1.0}) for id_ in "ab"])
        seen = store.revision()
        assert traits_of(store.changes(seen).traits) == []
        store.relate([])
        store.save_statistics("mean", b"1", as_of=seen)
        assert traits_of(store.changes(seen).traits) == []
        (c,) = store.add([new_memory("c", traits={"x": 0.25})])
        of_b, of_c = [(b.seq, "b", 1.0), (b.seq, "x", 0.5)], [(c.seq, "x", 0.25)]
        assert traits_of(store.changes(seen).traits) == of_c
        store.add_keys(STAMP, {b.seq: b"NEW KEY!"})
        changes = store.changes(seen)
        assert changes.memories.seqs.tolist() == [b.seq, c.seq]
        assert traits_of(changes.traits) == of_b + of_c
        assert a.seq < b.seq

    @pytest.mark.parametrize(
        "traits",
        [
            {"x": 0}, {"x": -0.5}, {"x": 1.001}, {"x": float("nan")}, {"x": float("inf")}, {"x": True}, {"x": "1"},
            {"x": None}, {"x": 1e-60}, {"": 0.5}, {"a\nb": 0.5}, {"\ud800": 0.5}, {"a\x00": 0.5}, {7: 0.5},
        ],
    )  # fmt: skip
    def test_traits_that_cannot_be_are_refused(self, store: Repository, traits: dict[str, float]) -> None:
        with pytest.raises(InvalidInput):
            store.add([new_memory("a"), new_memory("b", traits=traits)])
        assert store.stats().memories == 0
