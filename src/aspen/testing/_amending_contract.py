"""The contract of stores: changes to what is stored, each of them one transaction."""

# the name of a test says what must hold

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aspen.errors import Conflict, InvalidInput, NotFound
from aspen.repository import Repository, edges_of
from aspen.testing.repository_builders import NEXT_STAMP, NOON, accesses_of, new_key, new_memory, new_trace
from aspen.types import Edge, Emotion, MemoryType, Provenance, Relation, RelationType, Stability

_SUPPORTS, _CORRECTED = RelationType.SUPPORTS, RelationType.HISTORICAL_VERSION_OF


class AmendingContract:
    """Tests of `amend`, `attached`, and of relations that come in the same transaction."""

    def test_a_memory_is_amended_in_place(self, store: Repository) -> None:
        a, b = store.add([new_memory("a", tags=("x",), speaker="Ann", terms=("w",)), new_memory("b")])
        assert a.version == 1
        given = {"type": "self", "importance": "high", "emotion": {"label": "joy", "intensity": 0.5}}
        amended = store.amend("a", given)
        expected = replace(a, type=MemoryType.SELF, importance=1.0, emotion=Emotion("joy", 0.5), version=2)
        assert amended == expected
        amended = store.amend("a", {"stability": Stability.STABLE, "tags": ("é", "y", "y"), "emotion": None})
        assert amended == replace(
            expected, stability=Stability.STABLE, tags=("y", "é"), emotion=None, version=3
        )
        assert isinstance(amended.type, MemoryType) and isinstance(amended.stability, Stability)
        assert store.get(["a", "b"]) == [amended, b]
        assert store.postings(["w"])[0].seqs.tolist() == [a.seq]
        assert store.check() == []

    def test_who_follows_the_changes_gets_what_was_amended(self, store: Repository) -> None:
        a, b = store.add([new_memory("a", traits={"t": 0.5}, subject="s"), new_memory("b")])
        store.relate([Edge(b.seq, a.seq, "supports", 0.5)])
        before = store.revision()
        store.amend("a", {"type": "belief", "importance": 0.25, "tags": ["x"]})
        assert store.revision() == before + 1
        changes = store.changes(before)
        rows = changes.memories
        assert (rows.seqs.tolist(), rows.types, rows.tags) == ([a.seq], ["belief"], [("x",)])
        assert (rows.importances.tolist(), rows.subjects) == ([0.25], ["s"])
        assert rows.keys.tobytes() == new_key("a")
        assert changes.traits.seqs.tolist() == [a.seq]
        assert len(changes.edges.sources) == len(changes.forgotten) == 0
        assert store.memory_types([a.seq]) == {a.seq: "belief"}
        assert store.changes(0).memories.types == ["belief", "episodic"]

    def test_amending_to_what_is_there_changes_nothing(self, store: Repository) -> None:
        (a,) = store.add([new_memory("a", tags=("x", "y"))])
        before = store.revision()
        for fields in ({}, {"type": "episodic", "tags": ("y", "x"), "emotion": None, "importance": 0.6}):
            assert store.amend("a", fields, version=1) == a
        assert store.revision() == before

    def test_a_stale_version_is_a_conflict(self, store: Repository) -> None:
        store.add([new_memory("a")])
        store.amend("a", {"importance": 0.5}, version=1)
        before = store.revision()
        for stale in (1, 3, 0):
            with pytest.raises(Conflict) as caught:
                store.amend("a", {"importance": 0.75}, version=stale)
            assert caught.value.details == {"id": "a", "version": 2, "expected": stale}
        with pytest.raises(Conflict):
            store.amend("a", {}, version=1)
        assert store.revision() == before
        assert store.amend("a", {"importance": 0.75}, version=2).version == 3

    def test_of_two_who_amend_one_version_one_is_told(self, store: Repository) -> None:
        store.add([new_memory("a")])

        def amend(number: int) -> int:
            try:
                return store.amend("a", {"tags": [f"t{number}"]}, version=1).version
            except Conflict:
                return 0

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(amend, range(4))) == [0, 0, 0, 2]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: store.amend("a", {"tags": [str(number)]}), range(8)))
        assert store.get(["a"])[0].version == 10

    def test_what_takes_the_place_of_a_memory_or_gives_it_back_counts_in_its_version(
        self, store: Repository
    ) -> None:
        a, b, _ = (memory.seq for memory in store.add([new_memory("a"), new_memory("b"), new_memory("c")]))

        def versions() -> list[int]:
            return [memory.version for memory in store.list()][::-1]

        store.add([], relations=[Relation("a", "c", _CORRECTED), Relation("a", "b", _SUPPORTS)])
        assert versions() == [2, 1, 1]
        store.add([], relations=[Relation("a", "c", _CORRECTED, 0.5)])
        assert versions() == [2, 1, 1]  # it does so already
        store.relate([Edge(a, b, _CORRECTED.value, 1.0), Edge(b, a, _CORRECTED.value, 1.0)])
        assert versions() == [3, 2, 1]
        assert store.unrelate([(a, b, _CORRECTED.value), (a, b, "supports"), (b, 99, _CORRECTED.value)]) == 2
        assert versions() == [4, 2, 1]
        store.relate([], without=[(b, a, _CORRECTED.value)])
        assert versions() == [4, 3, 1]
        store.forget(["c"])
        assert versions() == [5, 3]
        with pytest.raises(Conflict):
            store.amend("a", {"importance": 0.5}, version=4)
        assert store.check() == []

    @pytest.mark.parametrize(
        "write",
        [
            lambda store, versions: store.add(
                [new_memory("new")], relations=[Relation("a", "new", _CORRECTED)], versions=versions
            ),
            lambda store, versions: store.relate([Edge(1, 2, "x", 0.5)], versions=versions),
            lambda store, versions: store.relate([], without=[(2, 1, "x")], versions=versions),
            lambda store, versions: store.forget(["a"], versions=versions),
        ],
        ids=["add", "relate", "relate without", "forget"],
    )
    def test_nothing_is_written_where_a_version_is_another_by_then(
        self, store: Repository, write: Callable[[Repository, dict[str, int]], object]
    ) -> None:
        a, b = store.add([new_memory("a"), new_memory("b")])
        store.relate([Edge(b.seq, a.seq, "x", 0.5)])
        store.amend("b", {"importance": 0.5})
        before = store.revision()
        for versions, name, version in (({"a": 1, "b": 1}, "b", 2), ({"a": 3}, "a", 1)):
            with pytest.raises(Conflict) as caught:
                write(store, versions)
            assert caught.value.details == {"id": name, "version": version, "expected": versions[name]}
        with pytest.raises(NotFound):
            write(store, {"a": 1, "nobody": 1})
        assert store.revision() == before
        write(store, {"a": 1, "b": 2})
        assert store.revision() == before + 1
        assert store.check() == []

    def test_what_is_corrected_as_it_comes_has_a_version_more(self, store: Repository) -> None:
        store.add([new_memory("a"), new_memory("b")], relations=[Relation("a", "b", _CORRECTED)])
        assert [memory.version for memory in store.get(["a", "b"])] == [2, 1]

    @pytest.mark.parametrize(
        "fields",
        [
            {"text": "another"}, {"id": "b"}, {"version": 7}, {"type": "opinion"}, {"stability": None},
            {"importance": 1.5}, {"importance": float("nan")}, {"emotion": Emotion("", 0.5)}, {"emotion": "joy"},
            {"tags": "abc"}, {"tags": ("a\nb",)},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_cannot_be_amended_is_refused(self, store: Repository, fields: dict[str, Any]) -> None:
        (a,) = store.add([new_memory("a")])
        with pytest.raises(InvalidInput):
            store.amend("a", {"importance": 0.5, **fields})
        assert store.get(["a"]) == [a]

    def test_an_unknown_memory_is_not_amended(self, store: Repository) -> None:
        for name in ("nobody", "\ud800", "a\x00", ""):
            with pytest.raises(NotFound):
                store.amend(name, {"importance": 0.5})

    def test_a_memory_is_amended_while_the_store_is_re_keyed(self, store: Repository) -> None:
        (a,) = store.add([new_memory("a")])
        store.add_keys(NEXT_STAMP, {a.seq: b"next"})
        store.amend("a", {"importance": 0.5})
        store.activate(NEXT_STAMP)
        rows = store.changes(0).memories
        assert (rows.importances.tolist(), rows.keys.tobytes()) == ([0.5], b"next")
        assert store.check() == []

    def test_what_hangs_on_memories_is_what_forgetting_takes(self, store: Repository) -> None:
        store.add([new_memory("a", trace_id="t1"), new_memory("b"), new_memory("c")], trace=new_trace("t1"))
        store.add([new_memory("d", trace_id="t2")], trace=new_trace("t2", mentions=("b", "a")))
        store.add([new_memory("e", trace_id="t3")], trace=new_trace("t3", mentions=("c",)))
        a, b, c = (memory.seq for memory in store.get(["a", "b", "c"]))
        store.relate([Edge(a, b, "x", 0.5), Edge(b, a, "x", 0.5), Edge(b, c, "x", 0.5), Edge(b, c, "y", 0.5)])
        attached = store.attached(["a", "b", "a"])
        assert [trace.id for trace in attached.traces] == ["t2", "t1"]
        assert attached.edges == 4
        assert store.attached(["c"]).edges == 2
        assert (store.attached([]).traces, store.attached([]).edges) == ((), 0)
        edges = store.stats().edges
        assert store.forget(["a", "b"]) == len(attached.traces)
        assert store.stats().edges == edges - attached.edges
        with pytest.raises(NotFound) as caught:
            store.attached(["c", "a"])
        assert caught.value.details["id"] == "a"

    def test_memories_come_with_their_relations(self, store: Repository) -> None:
        (a,) = store.add([new_memory("a")])
        before = store.revision()
        added = store.add(
            [new_memory("b", conversation="c"), new_memory("c", conversation="c")],
            relations=[
                Relation("a", "b", _SUPPORTS, 0.5),
                Relation("c", "b", _SUPPORTS, 1.0, Provenance.INFERRED),
            ],
        )
        b, c = (memory.seq for memory in added)
        assert store.revision() == before + 1
        assert edges_of(store.changes(before).edges) == [
            Edge(a.seq, b, "supports", 0.5, Provenance.SAID),
            Edge(b, c, "next", 1.0),
            Edge(c, b, "supports", 1.0),
        ]
        store.add([new_memory("b")], relations=[Relation("a", "b", _SUPPORTS, 0.25)])
        assert store.revision() == before + 2
        assert edges_of(store.out_edges([a.seq], fan=9)) == [
            Edge(a.seq, b, "supports", 0.25, Provenance.SAID)
        ]
        assert store.add([], relations=[Relation("b", "a", _SUPPORTS, 1.0)]) == []
        assert store.revision() == before + 3
        assert store.stats().edges == 4

    @pytest.mark.parametrize(
        ("relation", "error"),
        [
            (Relation("a", "nobody", _SUPPORTS), NotFound),
            (Relation("\ud800", "a", _SUPPORTS), NotFound),
            (Relation("b", "b", _SUPPORTS), InvalidInput),
            (Relation("a", "b", _SUPPORTS, 1.5), InvalidInput),
            (Relation("a", "b", "likes"), InvalidInput),  # type: ignore[arg-type]
            (Relation("a", None, _SUPPORTS), InvalidInput),  # type: ignore[arg-type]
        ],
        ids=str,
    )
    def test_nothing_is_stored_with_a_relation_that_cannot_be(
        self, store: Repository, relation: Relation, error: type[Exception]
    ) -> None:
        store.add([new_memory("a")])
        before = store.revision()
        with pytest.raises(error):
            store.add([new_memory("b")], relations=[Relation("a", "b", _SUPPORTS), relation])
        assert store.known(["b"]) == set()
        assert (store.revision(), store.stats().edges) == (before, 0)

    def test_edges_come_and_go_and_memories_are_used_at_once(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5), Edge(a, b, "y", 0.5)])
        before, later = store.revision(), NOON + timedelta(days=1)
        edges = [Edge(b, a, "x", 0.5), Edge(a, b, "y", 1.0)]
        store.relate(edges, without=[(a, b, "x"), (a, b, "y"), (b, 99, "x")], used=[a, a, 99], at=later)
        assert store.revision() == before + 1
        changes = store.changes(before)
        assert changes.unrelated
        assert edges_of(store.changes(0).edges) == [Edge(a, b, "y", 1.0), Edge(b, a, "x", 0.5)]
        assert accesses_of(changes.accesses) == {a: (2, int(later.timestamp()) * 1_000_000)}
        store.relate([], used=[b], at=NOON)
        assert (store.revision(), store.get(["b"])[0].access_count) == (before + 2, 1)
        store.relate([], without=[(a, b, "y")])
        assert (store.revision(), store.stats().edges) == (before + 3, 1)
        store.relate([], without=[(a, b, "y")], used=[99], at=NOON)
        assert store.revision() == before + 3

    def test_where_an_edge_cannot_be_nothing_goes_and_nothing_is_used(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5)])
        before = store.revision()
        with pytest.raises(NotFound):
            store.relate([Edge(a, 99, "x", 0.5)], without=[(a, b, "x")], used=[a], at=NOON)
        with pytest.raises(InvalidInput):
            store.relate([Edge(b, a, "x", 0.5)], without=[(a, b, "x")], used=[a])
        assert (store.revision(), store.stats().edges) == (before, 1)
        assert store.get(["a"])[0].access_count == 0
