"""The contract of stores: edges."""

# the name of a test says what must hold

from __future__ import annotations

import pytest

from aspen.errors import InvalidInput, NotFound
from aspen.repository import Repository
from aspen.testing.repository_builders import edges_of, new_memory
from aspen.types import Edge


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
