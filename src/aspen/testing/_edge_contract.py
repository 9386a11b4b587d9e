"""The contract of stores: edges."""

# the name of a test says what must hold

from __future__ import annotations

from typing import Any

import pytest

from aspen.errors import InvalidInput, NotFound
from aspen.repository import Repository, edges_of
from aspen.testing.repository_builders import new_memory
from aspen.types import Edge, Provenance


class EdgeContract:
    """Tests of `EdgeStore`."""

    def test_relate_sets_the_weight(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "causes", 0.25), Edge(a, b, "supports", 1.0), Edge(b, a, "causes", 0.0)])
        store.relate([Edge(a, b, "causes", 0.5), Edge(a, b, "causes", 0.75)])
        assert edges_of(store.out_edges([b, a], fan=5)) == [
            Edge(b, a, "causes", 0.0),
            Edge(a, b, "supports", 1.0),
            Edge(a, b, "causes", 0.75),
        ]
        before = store.revision()
        store.relate([])
        assert store.revision() == before
        store.relate([Edge(a, b, "causes", 0.125)])
        assert edges_of(store.changes(before).edges) == [Edge(a, b, "causes", 0.125)]

    @pytest.mark.parametrize("weight", [float("nan"), -0.1, 1.1, float("inf"), None, "0.5", True, -1e-300])
    def test_weights_outside_the_unit_interval_are_refused(self, store: Repository, weight: float) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        before = store.revision()
        with pytest.raises(InvalidInput):
            store.relate([Edge(a, b, "causes", 0.5), Edge(b, a, "causes", weight)])
        assert store.revision() == before
        assert store.out_edges([a, b], fan=5).sources.tolist() == []

    def test_edges_need_two_different_memories_and_a_type(self, store: Repository) -> None:
        (a,) = (memory.seq for memory in store.add([new_memory("a")]))
        with pytest.raises(InvalidInput):
            store.relate([Edge(a, a, "causes", 0.5)])
        for end in (a + 1, 0, -1, 2**70):
            with pytest.raises(NotFound):
                store.relate([Edge(a, end, "causes", 0.5)])
        for kind in ("", "a\x00b", "\udc00", None):
            with pytest.raises(InvalidInput):
                store.relate([Edge(a, a + 1, kind, 0.5)])  # type: ignore[arg-type]

    def test_out_edges_are_the_heaviest(self, store: Repository) -> None:
        a, b, c, d, e = (memory.seq for memory in store.add([new_memory(id_) for id_ in "abcde"]))
        store.relate([Edge(a, d, "x", 0.5), Edge(a, b, "x", 0.1), Edge(a, c, "y", 0.5), Edge(a, c, "x", 0.5)])
        store.relate([Edge(a, e, "x", 0.9), Edge(b, a, "x", 0.2)])
        found = edges_of(store.out_edges([b, c, a, b, 2**70, e + 7], fan=4))
        assert [(edge.source, edge.target, edge.type) for edge in found] == [
            (b, a, "x"),
            (a, e, "x"),
            (a, c, "x"),
            (a, c, "y"),
            (a, d, "x"),
        ]
        assert edges_of(store.out_edges([], fan=1)) == []

    def test_the_fan_counts_what_passes_the_filters(self, store: Repository) -> None:
        a, b, c, d = (memory.seq for memory in store.add([new_memory(id_) for id_ in "abcd"]))
        edges = [Edge(a, b, "x", 0.9), Edge(a, b, "y", 0.8), Edge(a, c, "y", 0.5), Edge(a, d, "z", 0.25)]
        store.relate(edges)

        def out(**filters: Any) -> list[Edge]:
            return edges_of(store.out_edges([a], **filters))

        assert out(fan=2, types={"y", "z", "\ud800"}) == edges[1:3]
        assert out(fan=9, min_weight=0.5) == edges[:3]
        assert out(fan=9, min_weight=0.6, types=["z", "y"]) == edges[1:2]
        assert out(fan=9, types=[]) == []
        for filters in (
            {"fan": 0},
            {"fan": 10_001},
            {"fan": 1, "min_weight": 1.5},
            {"fan": 1, "types": [None]},
        ):
            with pytest.raises(InvalidInput):
                out(**filters)

    def test_in_edges_are_the_heaviest(self, store: Repository) -> None:
        a, b, c, d = (memory.seq for memory in store.add([new_memory(id_) for id_ in "abcd"]))
        edges = [Edge(c, a, "x", 0.9), Edge(b, a, "x", 0.5), Edge(b, a, "y", 0.5), Edge(d, a, "x", 0.5)]
        store.relate([*edges[::-1], Edge(a, b, "x", 1.0)])
        assert edges_of(store.in_edges([c, a, a, 2**70], fan=3)) == edges[:3]
        with pytest.raises(InvalidInput):
            store.in_edges([a], fan=0)

    def test_edges_say_where_they_come_from(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5, Provenance.SAID)])
        assert edges_of(store.changes(0).edges) == [Edge(a, b, "x", 0.5, Provenance.SAID)]
        store.relate([Edge(a, b, "x", 0.5, Provenance.IMPORTED)])
        assert edges_of(store.in_edges([b], fan=1)) == [Edge(a, b, "x", 0.5, Provenance.IMPORTED)]
        with pytest.raises(InvalidInput):
            store.relate([Edge(a, b, "x", 0.5, "hearsay")])  # type: ignore[arg-type]

    def test_edges_can_be_removed(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5), Edge(a, b, "y", 0.5), Edge(b, a, "x", 0.5)])
        before = store.revision()
        assert store.unrelate([(b, a, "y"), (a, 2**70, "x"), (a, b, "\ud800")]) == 0
        assert store.revision() == before
        assert not store.changes(before).unrelated
        assert store.unrelate([(a, b, "x"), (a, b, "x"), (b, a, "x")]) == 2
        assert store.revision() == before + 1
        assert store.changes(before).unrelated
        assert not store.changes(0).unrelated  # it is everything there is
        assert not store.changes(before + 1).unrelated
        assert edges_of(store.out_edges([a, b], fan=9)) == [Edge(a, b, "y", 0.5)]

    def test_forgetting_a_memory_removes_its_edges_without_a_word(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5), Edge(b, a, "x", 0.5)])
        before = store.revision()
        store.forget(["a"])
        assert not store.changes(before).unrelated
        assert edges_of(store.in_edges([b], fan=9)) == edges_of(store.out_edges([b], fan=9)) == []

    def test_types_of_memories(self, store: Repository) -> None:
        a, b = (memory.seq for memory in store.add([new_memory("a", type="belief"), new_memory("b")]))
        assert list(store.memory_types([b, 2**70, a, b]).items()) == [(b, "episodic"), (a, "belief")]
