"""The contract of stores: KV fragments."""

# the name of a test says what must hold

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aspen.errors import InvalidInput, ModelMismatch, StoreError
from aspen.repository import Repository
from aspen.testing.repository_builders import NEXT_STAMP, STAMP, OpenStore, new_memory, new_trace


class FragmentContract:
    """Tests of `FragmentStore`."""

    def test_fragments_come_back_by_memory_and_name(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        bodies = {(a, "x"): b"ax", (a, "é"): bytes(range(256)) * 300, (b, "x"): b"\x00"}
        store.save_fragments(STAMP, bodies)
        asked = [(b, "x"), (a, "nothing"), (a, "é"), (b + 9, "x"), (a, "x")]
        found = store.fragments(asked)
        assert found == bodies
        assert list(found) == [(b, "x"), (a, "é"), (a, "x")]
        assert store.fragments([]) == store.fragments([(2**70, "x"), (0, "x"), (a, "\ud800")]) == {}
        assert store.check() == []

    def test_a_fragment_is_replaced(self, store: Repository) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a")]))
        store.save_fragments(STAMP, {(a, "x"): b"first", (a, "y"): b"other"})
        store.save_fragments(replace(STAMP, model_name="renamed"), {(a, "x"): b"second"})
        assert store.fragments([(a, "x"), (a, "y")]) == {(a, "x"): b"second", (a, "y"): b"other"}

    def test_saving_fragments_is_one_revision_that_changes_no_row(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        before = store.revision()
        store.save_fragments(STAMP, {(a, "x"): b"1", (b, "x"): b"2"})
        assert store.revision() == before + 1
        assert len(store.changes(before).memories.seqs) == 0
        store.save_fragments(STAMP, {(b + 1, "x"): b"of nobody"})
        store.save_fragments(STAMP, {})
        assert store.revision() == before + 1

    def test_fragments_go_with_their_memory(self, store: Repository) -> None:
        added = store.add([new_memory("a", trace_id="t"), new_memory("b")], trace=new_trace("t"))
        a, b = (memory.seq for memory in added)
        store.save_fragments(STAMP, {(a, "x"): b"1", (b, "x"): b"2"})
        store.forget(["a"])
        assert store.fragments([(a, "x"), (b, "x")]) == {(b, "x"): b"2"}
        store.save_fragments(STAMP, {(a, "x"): b"late"})
        assert store.fragments([(a, "x")]) == {}
        assert store.check() == []

    def test_fragments_go_with_their_stamp(self, store: Repository) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a")]))
        store.save_fragments(STAMP, {(a, "x"): b"1"})
        store.add_keys(NEXT_STAMP, {a: b"next key"})
        assert store.fragments([(a, "x")]) == {(a, "x"): b"1"}
        with pytest.raises(ModelMismatch):
            store.save_fragments(NEXT_STAMP, {(a, "x"): b"too early"})
        store.activate(NEXT_STAMP)
        assert store.fragments([(a, "x")]) == {}
        with pytest.raises(ModelMismatch, match="rekey"):
            store.save_fragments(STAMP, {(a, "x"): b"too late"})
        store.save_fragments(NEXT_STAMP, {(a, "x"): b"2"})
        store.add_keys(STAMP, {a: b"old key!"})
        store.activate(STAMP)
        assert store.fragments([(a, "x")]) == {}
        assert store.check() == []

    def test_a_store_without_a_stamp_has_no_fragments(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.fragments([(1, "x")]) == {}
            with pytest.raises(StoreError, match="stamp"):
                store.save_fragments(STAMP, {(1, "x"): b"1"})

    @pytest.mark.parametrize(
        ("name", "body"),
        [("", b"1"), ("a\x00b", b"1"), ("\ud800", b"1"), (None, b"1"), ("x", b""), ("x", "1"), ("x", None)],
    )
    def test_what_is_no_fragment_is_refused(self, store: Repository, name: Any, body: Any) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a")]))
        before = store.revision()
        with pytest.raises(InvalidInput):
            store.save_fragments(STAMP, {(a, "fine"): b"1", (a, name): body})
        assert store.revision() == before
        assert store.fragments([(a, "fine")]) == {}
        with pytest.raises(InvalidInput):
            store.fragments([(a, None)])  # type: ignore[list-item]

    def test_fragments_count_as_a_part_of_their_own(self, store: Repository) -> None:
        added = store.add([new_memory(f"m{number}") for number in range(20)])
        before = store.stats().bytes
        store.save_fragments(STAMP, {(memory.seq, "x"): bytes(10_000) for memory in added})
        after = store.stats().bytes
        assert after["fragments"] - before["fragments"] >= 200_000
        assert after["keys"] == before["keys"]
