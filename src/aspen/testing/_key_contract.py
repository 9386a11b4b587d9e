"""The contract of stores: keys, what belongs to them, and statistics."""

# the name of a test says what must hold

from __future__ import annotations

from dataclasses import replace

import pytest

from aspen.errors import InvalidInput, ModelMismatch, StoreError
from aspen.repository import Repository
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    STAMP,
    OpenStore,
    new_key,
    new_memory,
    traits_of,
)
from aspen.types import Edge


class KeyContract:
    """Tests of `KeyStore` and `StatisticsStore`."""

    def test_a_new_store_has_no_stamp_and_takes_no_memories(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.stamp() is None
            assert store.revision() == 0
            assert store.changes(0).memories.keys.shape == (0, 0)
            with pytest.raises(StoreError):
                store.add([new_memory("a")])
            store.add_keys(STAMP, {1: b"x"})
            assert store.stats().memories == store.revision() == 0

    def test_a_store_is_stamped_once(self, store: Repository) -> None:
        before = store.revision()
        store.set_stamp(STAMP)
        store.set_stamp(replace(STAMP, model_name="renamed"))
        assert store.stamp() == STAMP
        assert store.revision() == before
        with pytest.raises(ModelMismatch, match="rekey") as caught:
            store.set_stamp(NEXT_STAMP)
        assert caught.value.details == {
            "stored": STAMP.model_id,
            "current": NEXT_STAMP.model_id,
            "location": store.location,
        }
        with pytest.raises(InvalidInput):
            store.set_stamp(replace(STAMP, model_id=""))

    def test_keys_of_another_stamp_are_not_added(self, store: Repository) -> None:
        store.add([new_memory("a")], stamp=replace(STAMP, model_name="renamed"))
        with pytest.raises(ModelMismatch):
            store.add([new_memory("b")], stamp=NEXT_STAMP)
        assert store.stats().memories == 1

    @pytest.mark.parametrize("key", [b"", b"seven b", b"nine byte", "8 letter", None])
    def test_keys_of_another_length_are_refused(self, store: Repository, key: bytes) -> None:
        (a,) = store.add([new_memory("a")])
        with pytest.raises(InvalidInput):
            store.add([new_memory("b"), replace(new_memory("c"), key=key)])
        with pytest.raises(InvalidInput):
            store.add_keys(STAMP, {a.seq: key})
        assert store.stats().memories == 1

    def test_a_new_key_replaces_the_old_one(self, store: Repository) -> None:
        a, b = store.add([new_memory("a"), new_memory("b")])
        before = store.revision()
        store.add_keys(STAMP, {b.seq: b"NEW KEY!", b.seq + 5: b"NOBODY'S", 0: b"NOBODY'S"})
        changes = store.changes(before)
        assert changes.memories.seqs.tolist() == [b.seq]
        assert changes.memories.keys.tobytes() == b"NEW KEY!"
        assert store.changes(0).memories.keys.tobytes() == new_key("a") + b"NEW KEY!"
        assert a.seq < b.seq

    def test_re_keying(self, store: Repository) -> None:
        a, b, c = store.add([new_memory("a"), new_memory("b"), new_memory("c")])
        assert store.save_statistics("whitening", b"of the old keys", as_of=store.revision())
        assert store.missing_keys(STAMP, limit=10) == []
        assert store.missing_keys(NEXT_STAMP, limit=2) == [a, b]
        store.add_keys(NEXT_STAMP, {a.seq: b"A" * 12, c.seq: b"C" * 12})
        seqs, keys = store.keys(NEXT_STAMP)
        assert seqs.tolist() == [a.seq, c.seq]
        assert keys.tobytes() == b"A" * 12 + b"C" * 12
        assert keys.shape == (2, 12)
        assert store.keys(NEXT_STAMP, after=a.seq)[0].tolist() == [c.seq]
        assert len(store.keys(NEXT_STAMP, after=c.seq)[0]) == 0
        assert store.missing_keys(NEXT_STAMP, limit=10) == [b]
        before = store.revision()
        assert store.activate(NEXT_STAMP) is False
        assert store.revision() == before
        assert store.stamp() == STAMP
        store.add_keys(NEXT_STAMP, {b.seq: b"B" * 12})
        seen = store.changes(0)
        assert seen.memories.keys.shape == (3, 8)
        assert store.activate(NEXT_STAMP) is True
        assert store.stamp() == NEXT_STAMP
        changes = store.changes(seen.revision)
        assert changes.memories.seqs.tolist() == [a.seq, b.seq, c.seq]
        assert changes.memories.keys.tobytes() == b"A" * 12 + b"B" * 12 + b"C" * 12
        assert store.statistics("whitening") is None
        assert store.missing_keys(STAMP, limit=10) == [a, b, c]
        with pytest.raises(ModelMismatch):
            store.add([new_memory("d")], stamp=STAMP)
        store.add([new_memory("d", key=b"D" * 12)], stamp=NEXT_STAMP)
        assert store.check() == []

    # Head keys

    def test_head_keys_come_back(self, store: Repository) -> None:
        """Of any length, beyond a page too, and in the order asked."""
        bodies = {"a": b"\x00", "c": bytes(range(256)) * 200, "d": b"d" * 5000}
        a, b, c, d = store.add([new_memory(id_, head_keys=bodies.get(id_)) for id_ in "abcd"])
        found = store.head_keys([d.seq, 2**70, b.seq, a.seq, -1, d.seq, c.seq])
        assert found == {d.seq: bodies["d"], a.seq: bodies["a"], c.seq: bodies["c"]}
        assert list(found) == [d.seq, a.seq, c.seq]
        assert store.head_keys(store.changes(0).memories.seqs[:1]) == {a.seq: b"\x00"}  # type: ignore[arg-type]
        assert store.head_keys([]) == {}
        assert store.changes(0).memories.keys.shape == (4, 8)

    def test_a_new_store_has_no_head_keys(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.head_keys([1, 2]) == {}

    def test_head_keys_go_with_their_memory(self, store: Repository) -> None:
        a, b = store.add([new_memory(id_, head_keys=id_.encode()) for id_ in "ab"])
        store.add_keys(NEXT_STAMP, {b.seq: b"coming"}, head_keys={b.seq: b"coming too"})
        store.forget(["b"])
        assert store.head_keys([a.seq, b.seq]) == {a.seq: b"a"}
        assert store.check() == []

    def test_new_head_keys_replace_the_old_ones(self, store: Repository) -> None:
        a, b, c = store.add([new_memory(id_, head_keys=b"old") for id_ in "abc"])
        before = store.revision()
        keys = {memory.seq: b"NEW KEY!" for memory in (a, b)}
        store.add_keys(
            STAMP, {**keys, c.seq + 5: b"NOBODY'S"}, head_keys={a.seq: b"a longer one", c.seq + 5: b"x"}
        )
        # Where none came, the old ones stay.
        assert store.head_keys([a.seq, b.seq, c.seq]) == {
            a.seq: b"a longer one",
            b.seq: b"old",
            c.seq: b"old",
        }
        assert store.changes(before).memories.seqs.tolist() == [a.seq, b.seq]
        assert store.revision() == before + 1

    def test_head_keys_of_another_stamp_are_not_handed_over(self, store: Repository) -> None:
        a, b = store.add([new_memory("a", head_keys=b"old a"), new_memory("b", head_keys=b"old b")])
        seqs = [a.seq, b.seq]
        keys = dict.fromkeys(seqs, b"coming")
        store.add_keys(NEXT_STAMP, keys, head_keys={b.seq: b"new b"})
        assert store.head_keys(seqs) == {a.seq: b"old a", b.seq: b"old b"}
        store.activate(NEXT_STAMP)
        assert store.head_keys(seqs) == {b.seq: b"new b"}
        (c,) = store.add([new_memory("c", key=b"newkey", head_keys=b"new c")])
        assert store.head_keys([*seqs, c.seq]) == {b.seq: b"new b", c.seq: b"new c"}
        # Back again: nothing of the first time is left.
        store.add_keys(STAMP, dict.fromkeys((*seqs, c.seq), b"8 bytes!"))
        store.activate(STAMP)
        assert store.head_keys([*seqs, c.seq]) == {}
        assert store.check() == []

    def test_coming_head_keys_are_dropped_with_their_stamp(self, store: Repository) -> None:
        (a,) = store.add([new_memory("a", head_keys=b"old")])
        store.add_keys(NEXT_STAMP, {a.seq: b"coming"}, head_keys={a.seq: b"given up"})
        assert store.activate(STAMP) is True
        assert store.head_keys([a.seq]) == {a.seq: b"old"}
        store.add_keys(NEXT_STAMP, {a.seq: b"coming"})
        store.activate(NEXT_STAMP)
        assert store.head_keys([a.seq]) == {}

    @pytest.mark.parametrize("body", [b"", "text", 7, bytearray(b"x")])
    def test_head_keys_that_are_no_bytes_are_refused(self, store: Repository, body: bytes) -> None:
        (a,) = store.add([new_memory("a")])
        before = store.revision()
        with pytest.raises(InvalidInput):
            store.add([new_memory("b"), new_memory("c", head_keys=body)])
        with pytest.raises(InvalidInput):
            store.add_keys(STAMP, {a.seq: b"NEW KEY!"}, head_keys={a.seq: body})
        assert store.revision() == before
        assert store.head_keys([a.seq]) == {}

    def test_head_keys_without_a_key_are_refused(self, store: Repository) -> None:
        a, b = store.add([new_memory("a"), new_memory("b")])
        before = store.revision()
        with pytest.raises(InvalidInput):
            store.add_keys(STAMP, {a.seq: b"NEW KEY!"}, head_keys={a.seq: b"x", b.seq: b"y"})
        assert store.revision() == before
        assert store.head_keys([a.seq, b.seq]) == {}

    def test_activating_the_current_stamp_drops_keys_of_others(self, store: Repository) -> None:
        (a,) = store.add([new_memory("a")])
        assert store.save_statistics("whitening", b"of these keys", as_of=store.revision())
        before = store.revision()
        assert store.activate(STAMP) is True
        assert store.revision() == before
        store.add_keys(NEXT_STAMP, {a.seq: b"coming"})
        assert store.activate(STAMP) is True
        assert store.missing_keys(NEXT_STAMP, limit=1) == [a]
        assert store.statistics("whitening") == b"of these keys"

    def test_an_empty_store_takes_any_stamp(self, store: Repository) -> None:
        assert store.activate(NEXT_STAMP) is True
        assert store.stamp() == NEXT_STAMP

    # Traits

    def test_traits_of_a_coming_stamp_do_not_show_before_it_is_activated(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory(id_, traits={"old": 0.5}) for id_ in "ab"]))
        seen = store.revision()
        keys, traits = dict.fromkeys((a, b, 99), b"coming"), {a: {"new": 0.25, "x": 1.0}, 99: {"x": 1.0}}
        store.add_keys(NEXT_STAMP, keys, traits=traits)
        assert traits_of(store.changes(0).traits) == [(a, "old", 0.5), (b, "old", 0.5)]
        assert traits_of(store.changes(seen).traits) == []
        (c,) = (memory.seq for memory in store.add([new_memory("c", traits={"old": 1.0})]))
        assert traits_of(store.changes(seen).traits) == [(c, "old", 1.0)]
        store.add_keys(NEXT_STAMP, {c: b"coming"}, traits={c: {"new": 1.0}})
        store.activate(NEXT_STAMP)
        # The second memory came without: what the former model saw in it is gone with its key.
        expected = [(a, "new", 0.25), (a, "x", 1.0), (c, "new", 1.0)]
        for since in (0, seen):
            assert traits_of(store.changes(since).traits) == expected
        assert store.check() == []

    def test_traits_of_a_stamp_that_was_given_up_are_dropped(self, store: Repository) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a", traits={"old": 0.5})]))
        store.add_keys(NEXT_STAMP, {a: b"coming"}, traits={a: {"given up": 1.0}})
        assert store.activate(STAMP) is True
        assert traits_of(store.changes(0).traits) == [(a, "old", 0.5)]
        store.add_keys(NEXT_STAMP, {a: b"coming"})
        store.activate(NEXT_STAMP)
        assert traits_of(store.changes(0).traits) == []

    def test_new_traits_replace_all_of_a_memory(self, store: Repository) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a", traits={"calm": 0.5, "old": 1.0})]))
        for traits, expected in (
            ({a: {"calm": 0.25}}, [(a, "calm", 0.25)]),
            (None, [(a, "calm", 0.25)]),  # where none come, those that are there stay
            ({a: {}}, []),
        ):
            before = store.revision()
            store.add_keys(STAMP, {a: b"NEW KEY!"}, traits=traits)
            assert traits_of(store.changes(before).traits) == expected
            assert store.revision() == before + 1

    def test_traits_that_cannot_be_or_come_without_a_key_are_refused(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory(id_, traits={"x": 0.5}) for id_ in "ab"]))
        before = store.revision()
        for traits in ({a: {"calm": 2.0}}, {a: {"": 1.0}}, {b: {"calm": 1.0}}):
            with pytest.raises(InvalidInput):
                store.add_keys(STAMP, {a: new_key("2")}, traits=traits)
        assert store.revision() == before
        assert traits_of(store.changes(0).traits) == [(a, "x", 0.5), (b, "x", 0.5)]

    # Statistics

    def test_statistics_go_when_a_memory_goes(self, store: Repository) -> None:
        memory = store.add([new_memory("a")])[0]
        assert store.save_statistics("mean", b"1", as_of=store.revision())
        store.forget([memory.id])
        assert store.statistics("mean") is None

    def test_statistics_do_not_bring_back_what_was_forgotten_while_they_were_fitted(
        self, store: Repository
    ) -> None:
        store.add([new_memory("a"), new_memory("b")])
        fitted_on = store.changes(0).revision
        store.forget(["a"])
        after = store.revision()
        for as_of in (0, fitted_on, after - 1):
            assert store.save_statistics("mean", b"of a and b", as_of=as_of) is False
        assert store.statistics("mean") is None
        assert store.revision() == after
        assert store.save_statistics("mean", b"of b", as_of=after) is True
        assert store.save_statistics("mean", b"of a and b", as_of=fitted_on) is False
        assert store.statistics("mean") == b"of b"

    def test_statistics_of_keys_that_were_replaced_while_they_were_fitted_are_not_kept(
        self, store: Repository
    ) -> None:
        (memory,) = store.add([new_memory("a")])
        store.add_keys(NEXT_STAMP, {memory.seq: b"coming"})
        fitted_on = store.changes(0).revision
        store.activate(NEXT_STAMP)
        after = store.revision()
        assert store.save_statistics("mean", b"of the old keys", as_of=fitted_on) is False
        assert store.statistics("mean") is None
        assert store.revision() == after
        assert store.save_statistics("mean", b"of the new keys", as_of=after) is True
        assert store.activate(NEXT_STAMP) is True
        assert store.save_statistics("mean", b"of the same keys", as_of=after) is True

    def test_statistics_may_be_saved_after_other_changes(self, store: Repository) -> None:
        """A store that is written to while statistics are fitted could otherwise never keep any."""
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        fitted_on = store.changes(0).revision
        store.add([new_memory("c")])
        store.relate([Edge(a, b, "causes", 0.5)])
        store.add_keys(STAMP, {a: b"NEW KEY!"})
        store.add_keys(NEXT_STAMP, {a: b"coming"})
        store.activate(STAMP)
        assert store.save_statistics("mean", b"of a and b", as_of=fitted_on) is True
        assert store.statistics("mean") == b"of a and b"

    def test_statistics_fitted_ahead_of_the_store_are_not_kept(self, store: Repository) -> None:
        revision = store.revision()
        for as_of in (revision + 1, 2**63 - 1):
            assert store.save_statistics("mean", b"of another store", as_of=as_of) is False
        assert store.statistics("mean") is None
        assert store.revision() == revision

    @pytest.mark.parametrize("as_of", [-1, None, "1", 1.0, True, 2**63])
    def test_statistics_are_fitted_at_a_revision(self, store: Repository, as_of: int) -> None:
        with pytest.raises(InvalidInput):
            store.save_statistics("mean", b"1", as_of=as_of)

    def test_statistics_are_replaced(self, store: Repository) -> None:
        assert store.statistics("mean") is None
        before = store.revision()
        assert store.save_statistics("mean", b"1", as_of=before) is True
        assert store.save_statistics("mean", b"", as_of=before) is True
        assert store.statistics("mean") == b""
        assert store.revision() == before + 2
        with pytest.raises(InvalidInput):
            store.save_statistics("mean", "text", as_of=before)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            store.save_statistics("", b"1", as_of=before)
