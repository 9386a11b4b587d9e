"""Spreading activation against its definition, a recursive query and the one over turns, on random graphs."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.unit.memory_graph.graph_worlds import (
    World,
    by_definition,
    by_node,
    close,
    layers,
    settings_of,
    spread,
    worlds,
)
from tests.unit.memory_graph.sql_spreading import frames_by_sql

from aspen.memory_graph import Path, SpreadingSettings, TurnGraph, spread_over_turns


@examples(deadline=None, max_examples=200)
@given(worlds(exact=True), settings_of(exact=True))
def test_activation_frames_and_truncation_are_those_of_the_definition(
    world: World, settings: SpreadingSettings
) -> None:
    found, expected = spread(world, settings), by_definition(world, settings)
    assert by_node(found) == expected.activation
    assert [by_node(frame) for frame in found.frames] == expected.frames
    assert found.truncated == expected.truncated


@examples(deadline=None, max_examples=200)
@given(worlds(), settings_of(budget=False))
def test_with_any_weights_activation_is_that_of_the_definition_and_of_a_recursive_query(
    world: World, settings: SpreadingSettings
) -> None:
    found, expected = spread(world, settings), by_definition(world, settings)
    assert by_node(found) == close(expected.activation)
    assert found.truncated == expected.truncated
    for frame, by_walks, by_sql in zip(
        found.frames, expected.frames, frames_by_sql(world, settings), strict=True
    ):
        assert by_node(frame) == close(by_walks)
        assert by_node(frame) == close(by_sql)


@examples(deadline=None, max_examples=200)
@given(worlds(exact=True), settings_of(exact=True), st.integers(1, 4))
def test_the_strongest_paths_are_the_first_of_all_paths(
    world: World, settings: SpreadingSettings, limit: int
) -> None:
    check_paths(world, settings, limit)


@examples(deadline=None, max_examples=200)
@given(worlds(), settings_of(budget=False), st.integers(1, 4))
def test_with_any_weights_the_strongest_paths_are_the_first_of_all_paths(
    world: World, settings: SpreadingSettings, limit: int
) -> None:
    check_paths(world, settings, limit)


@examples(deadline=None, max_examples=100)
@given(
    st.sampled_from([True, False]).flatmap(
        lambda exact: st.tuples(layers(exact=exact), settings_of(exact=exact))
    ),
    st.integers(1, 4),
)
def test_of_many_paths_that_meet_the_strongest_are_found(
    case: tuple[World, SpreadingSettings], limit: int
) -> None:
    world, settings = case
    check_paths(world, replace(settings, max_hops=3, relation_types=None, fan=100, node_budget=100), limit)


def check_paths(world: World, settings: SpreadingSettings, limit: int) -> None:
    found, expected = spread(world, settings), by_definition(world, settings)
    for node, activation, seed in zip(found.nodes, found.values, found.seeds, strict=True):
        into = [
            Path(walk.nodes, walk.relations, walk.brought)
            for walk in expected.walks
            if walk.nodes[-1] == node
        ]
        into.sort(key=lambda path: (-path.contribution, len(path.nodes), path.nodes, path.relations))
        every = found.paths_to(int(node), limit=10**6)
        assert every == into
        assert found.paths_to(int(node), limit=limit) == into[:limit]
        assert seed == world.seeds.get(int(node), 0.0)
        assert sum(path.contribution for path in every) == pytest.approx(
            activation - seed, rel=1e-9, abs=1e-12
        )


@examples(deadline=None, max_examples=50)
@given(worlds(), settings_of(budget=False))
def test_frames_sum_to_the_activation(world: World, settings: SpreadingSettings) -> None:
    found = spread(world, settings)
    assert len(found.frames) == settings.max_hops + 1
    total = dict.fromkeys(found.nodes.tolist(), 0.0)
    for frame in found.frames:
        assert (frame.values > 0).all()
        assert (np.diff(frame.nodes) > 0).all()
        for node, value in by_node(frame).items():
            total[node] += value
    assert total == close(by_node(found))


@examples(deadline=None, max_examples=50)
@given(worlds(), settings_of(), st.randoms(use_true_random=False))
def test_the_order_of_seeds_edges_and_memories_changes_not_one_bit(
    world: World, settings: SpreadingSettings, random: Random
) -> None:
    other_order = World(
        types=dict(random.sample(list(world.types.items()), len(world.types))),
        edges=dict(random.sample(list(world.edges.items()), len(world.edges))),
        seeds=dict(random.sample(list(world.seeds.items()), len(world.seeds))),
    )
    one, other = spread(world, settings), spread(other_order, settings)
    assert one.nodes.tolist() == other.nodes.tolist()
    assert one.values.tobytes() == other.values.tobytes()
    assert [by_node(frame) for frame in one.frames] == [by_node(frame) for frame in other.frames]
    assert all(one.paths_to(node) == other.paths_to(node) for node in one.nodes.tolist())


@st.composite
def turns(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, float]], list[float]]:
    """Turns of a conversation, edges between some of them, and what each starts with."""
    n = draw(st.integers(1, 6))
    node = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(node, node, st.just(0.0) | st.floats(0.01, 1)), max_size=12))
    return n, edges, draw(st.lists(st.just(0.0) | st.floats(0.01, 5), min_size=n, max_size=n))


@examples(deadline=None)
@given(turns(), st.integers(0, 3), st.floats(0.01, 1))
def test_spreading_over_turns_is_the_same_without_types_and_limits(
    conversation: tuple[int, list[tuple[int, int, float]], list[float]], hops: int, decay: float
) -> None:
    n, edges, initial = conversation
    sources, targets, weights = np.array(edges).reshape(-1, 3).T
    turn_graph = TurnGraph.of(
        n_nodes=n, sources=sources.astype(np.int64), targets=targets.astype(np.int64), weights=weights
    )
    arrived = spread_over_turns(turn_graph, np.array(initial), hops=hops, decay=decay)
    # Edges with the same ends need types of their own to stand side by side.
    typed = {(source, target, f"next {i}"): weight for i, (source, target, weight) in enumerate(edges)}
    world = World(dict.fromkeys(range(n), "episodic"), typed, dict(enumerate(initial)))
    settings = SpreadingSettings(max_hops=hops, decay=decay, type_boost={}, fan=5_000, node_budget=10_000)
    found = spread(world, settings)
    in_rows = np.zeros(n)
    in_rows[found.nodes] = found.values - found.seeds
    np.testing.assert_allclose(in_rows, arrived, rtol=1e-9, atol=1e-12)
