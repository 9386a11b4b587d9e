import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.unit.memory_graph.graph_worlds import (
    RELATIONS,
    World,
    edge_rows,
    fan_of,
    settings_of,
    worlds,
)

from aspen.errors import InvalidInput
from aspen.memory_graph import SpreadingSettings, TypedGraph
from aspen.memory_graph.numbering import Ids

NONE: Ids = np.zeros(0, dtype=np.int64)
NODES = (-1, 0, 1, 2, 3, 4, 5, 6, 7, 50, 70_000, 10**9, 10**15, 10**16)
"""All ids that worlds have, and others below, between and above them."""


def assert_holds(graph: TypedGraph, world: World, settings: SpreadingSettings) -> None:
    """The graph answers as the world's dictionaries do."""
    nodes = np.array(NODES, dtype=np.int64)
    fans = {node: fan_of(world, node, settings) for node in NODES}
    found = graph.edges_out_of(nodes, settings=settings)
    rows = zip(
        found.sources.tolist(), found.targets.tolist(), found.types.tolist(), found.weights, strict=True
    )
    assert [(source, target, found.type_names[code], weight) for source, target, code, weight in rows] == [
        (node, target, relation, weight)
        for node, (edges, _) in fans.items()
        for target, relation, weight in edges
    ]
    assert found.cut == any(cut for _, cut in fans.values())
    assert graph.missing(nodes).tolist() == [node for node in NODES if node not in world.types]
    boosts = [settings.type_boost.get(world.types.get(node, ""), 1.0) for node in NODES]
    assert graph.boosts_of(nodes, settings.type_boost).tolist() == boosts
    assert len(graph) == len(world.edges)


@examples(deadline=None, max_examples=200)
@given(worlds(), settings_of())
def test_it_hands_over_the_heaviest_of_the_edges_that_pass(world: World, settings: SpreadingSettings) -> None:
    assert_holds(world.graph(), world, settings)


@examples(deadline=None, max_examples=200)
@given(worlds(), worlds(), st.sets(st.sampled_from(NODES)), settings_of())
def test_a_changed_graph_is_one_built_anew(
    before: World, added: World, forgotten: set[int], settings: SpreadingSettings
) -> None:
    graph = before.graph()
    graph.edges_out_of(np.array(NODES), settings=settings)  # what it keeps of an answer must not go over
    changed = graph.changed(
        nodes=np.array(list(added.types), dtype=np.int64),
        types=list(added.types.values()),
        edges=edge_rows(added.edges),
        forgotten=np.array(sorted(forgotten), dtype=np.int64),
    )
    stay = {node: kind for node, kind in before.types.items() if node not in forgotten}
    edges = {key: weight for key, weight in before.edges.items() if not forgotten & {key[0], key[1]}}
    assert_holds(changed, World(stay | dict(added.types), edges | added.edges), settings)
    assert_holds(graph, before, settings)


def test_it_keeps_the_answers_to_many_sets_of_relation_types_apart() -> None:
    names = [f"relation {i}" for i in range(12)]
    edges = {(1, 2 + i, name): 0.5 for i, name in enumerate(names)}
    graph = World({1: "self"}, edges).graph()
    for _ in range(2):
        for i, name in enumerate(names):
            settings = SpreadingSettings(relation_types=frozenset({name, "unheard of"}))
            assert graph.edges_out_of(np.array([1]), settings=settings).targets.tolist() == [2 + i]


def test_of_edges_that_repeat_the_last_counts() -> None:
    rows = edge_rows({(1, 2, "next"): 0.1, (3, 2, "next"): 0.5, (1, 2, "causes"): 0.2})
    twice = type(rows)(
        sources=np.append(rows.sources, 1),
        targets=np.append(rows.targets, 2),
        types=[*rows.types, "next"],
        weights=np.append(rows.weights, 0.9),
        provenances=[*rows.provenances, "inferred"],
    )
    graph = TypedGraph.of(np.array([1, 2, 3]), types=["self"] * 3, edges=twice)
    assert graph.edges_out_of(np.array([1]), settings=SpreadingSettings()).weights.tolist() == [0.9, 0.2]
    assert len(graph) == 3


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInput, match=r"got .* for the edge of type 'causes' from 2 to 3"):
        World({1: "self"}, {(1, 2, "next"): 1.0, (2, 3, "causes"): weight}).graph()


def test_columns_of_different_lengths_are_refused() -> None:
    rows = edge_rows({(1, 2, relation): 1.0 for relation in RELATIONS})
    with pytest.raises(InvalidInput, match=r"got \[2, 3\]"):
        TypedGraph.of(
            NONE,
            types=[],
            edges=type(rows)(rows.sources[:2], rows.targets, rows.types, rows.weights, rows.provenances),
        )
    with pytest.raises(InvalidInput, match="2 memories and 1 types"):
        TypedGraph.of(np.array([1, 2]), types=["self"], edges=rows)
