import tracemalloc
from collections.abc import Mapping
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
    layers,
    settings_of,
    worlds,
)
from tests.unit.memory_graph.sql_spreading import frames_by_sql

from aspen.errors import InvalidInput, NotFound
from aspen.memory_graph import (
    Activation,
    EdgeSource,
    Frame,
    OutEdges,
    Path,
    SpreadingSettings,
    TurnGraph,
    TypedGraph,
    spread_activation,
    spread_over_turns,
)
from aspen.memory_graph.numbering import Ids, Values
from aspen.repository import EdgeRows

PLAIN = SpreadingSettings(decay=1.0, type_boost={})


def spread(world: World, settings: SpreadingSettings = PLAIN) -> Activation:
    return spread_activation(world.graph(), world.seeds, settings=settings)


def by_node(of: Activation | Frame) -> dict[int, float]:
    return dict(zip(of.nodes.tolist(), of.values.tolist(), strict=True))


def close(values: Mapping[int, float]) -> object:
    return pytest.approx(dict(values), rel=1e-9, abs=0)


def chain(*weights: float, types: Mapping[int, str] | None = None) -> World:
    """1 -> 2 -> 3 ..., and 1 is active."""
    edges = {(i, i + 1, "supports"): weight for i, weight in enumerate(weights, start=1)}
    return World(types or dict.fromkeys(range(1, len(weights) + 2), "episodic"), edges, {1: 1.0})


# Against the definition and against SQL


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


# Each rule by itself, in numbers that can be worked out by hand


def test_each_hop_multiplies_weight_boost_of_the_receiver_and_decay() -> None:
    world = chain(0.5, 0.8, types={1: "self", 2: "belief", 3: "episodic"})
    found = spread(world, SpreadingSettings(decay=0.6, type_boost={"self": 3.0, "belief": 1.75}))
    at_2 = 1.0 * 0.5 * 1.75 * 0.6
    assert by_node(found) == close({1: 1.0, 2: at_2, 3: at_2 * 0.8 * 1.0 * 0.6})
    assert found.paths_to(3) == [Path((1, 2, 3), ("supports", "supports"), at_2 * 0.8 * 1.0 * 0.6)]


def test_two_memories_linked_both_ways_do_not_echo() -> None:
    world = World({1: "self", 2: "self"}, {(1, 2, "supports"): 1.0, (2, 1, "causes"): 1.0}, {1: 1.0})
    assert by_node(spread(world, SpreadingSettings(max_hops=3, decay=1.0, type_boost={}))) == {1: 1.0, 2: 1.0}


def test_a_cycle_of_three_comes_round_to_the_seed() -> None:
    world = chain(1.0, 1.0)
    world.edges[3, 1, "causes"] = 0.5
    found = spread(world, SpreadingSettings(max_hops=3, decay=1.0, type_boost={}))
    assert by_node(found) == {1: 1.5, 2: 1.0, 3: 1.0}
    assert found.seeds.tolist() == [1.0, 0.0, 0.0]
    assert found.paths_to(1) == [Path((1, 2, 3, 1), ("supports", "supports", "causes"), 0.5)]


def test_parallel_edges_of_several_types_add_up() -> None:
    world = chain(0.5)
    world.edges[1, 2, "causes"] = 0.25
    found = spread(world)
    assert by_node(found) == {1: 1.0, 2: 0.75}
    assert [path.relations for path in found.paths_to(2)] == [("supports",), ("causes",)]


def test_what_came_back_is_left_out_however_little_else_remains() -> None:
    """1 and 3 both reach 2; nearly all comes from 1, and only what came from 3 may go to 1."""
    edges = {(1, 2, "supports"): 1.0, (3, 2, "supports"): 1e-12, (2, 1, "supports"): 1.0}
    world = World(dict.fromkeys((1, 2, 3), "episodic"), edges, {1: 1e6, 3: 0.3})
    frame = spread(world).frames[2]
    assert by_node(frame) == {1: pytest.approx(0.3e-12, rel=1e-9)}


def test_what_came_back_is_left_out_of_the_sum_of_all_others() -> None:
    edges = {(source, 9, "supports"): weight for source, weight in {1: 1.0, 2: 0.5, 3: 0.25}.items()}
    edges |= {(9, 1, "next"): 1.0, (9, 2, "next"): 1.0}
    world = World(dict.fromkeys((1, 2, 3, 9), "episodic"), edges, dict.fromkeys((1, 2, 3), 1.0))
    assert by_node(spread(world).frames[2]) == {1: 0.5 + 0.25, 2: 1.0 + 0.25}


def test_a_path_that_may_not_go_on_hides_no_other() -> None:
    """4 gets most over 2, but nearly all that came to 2 came from 4 itself."""
    edges = {(4, 2, "causes"): 1.0, (1, 2, "causes"): 0.1, (1, 3, "causes"): 0.5}
    edges |= {(2, 4, "causes"): 1.0, (3, 4, "causes"): 1.0}
    world = World(dict.fromkeys(range(1, 5), "episodic"), edges, {1: 1.0, 4: 100.0})
    assert [path.nodes for path in spread(world).paths_to(4, limit=1)] == [(1, 3, 4)]


def test_equal_paths_come_shorter_first_then_by_smaller_nodes_then_by_types() -> None:
    edges = {(2, 9, "supports"): 1.0, (2, 9, "causes"): 1.0, (1, 9, "next"): 1.0}
    edges |= {(3, 4, "causes"): 1.0, (3, 5, "causes"): 1.0, (5, 9, "causes"): 1.0, (4, 9, "causes"): 1.0}
    world = World(dict.fromkeys((1, 2, 3, 4, 5, 9), "episodic"), edges, dict.fromkeys((1, 2, 3), 1.0))
    expected = [
        Path((1, 9), ("next",), 1.0),
        Path((2, 9), ("causes",), 1.0),
        Path((2, 9), ("supports",), 1.0),
        Path((3, 4, 9), ("causes", "causes"), 1.0),
        Path((3, 5, 9), ("causes", "causes"), 1.0),
    ]
    for limit in range(6):
        assert spread(world).paths_to(9, limit=limit) == expected[:limit]


def test_equal_paths_are_equal_however_their_factors_round() -> None:
    """Both bring 0.005 x 0.6^3, to the last bit; multiplied from the end, the first would seem to bring less."""
    one, other = {(1, 2): 0.1, (2, 3): 0.1, (3, 9): 0.5}, {(1, 4): 0.5, (4, 5): 0.1, (5, 9): 0.1}
    edges = {(source, target, "causes"): weight for (source, target), weight in (one | other).items()}
    world = World(dict.fromkeys((1, 2, 3, 4, 5, 9), "episodic"), edges, {1: 1.0})
    found = spread(world, SpreadingSettings(max_hops=3, decay=0.6))
    assert [path.nodes for path in found.paths_to(9, limit=1)] == [(1, 2, 3, 9)]
    assert len({path.contribution for path in found.paths_to(9)}) == 1


def test_an_edge_back_takes_its_place_in_the_fan() -> None:
    world = chain(1.0, 0.5)
    world.edges[2, 1, "supports"] = 1.0  # heavier than 2 -> 3, and no path may take it
    found = spread(world, SpreadingSettings(decay=1.0, type_boost={}, fan=1))
    assert by_node(found) == {1: 1.0, 2: 1.0}
    assert found.truncated


def test_an_edge_of_weight_0_brings_nothing_but_takes_its_place_in_the_fan() -> None:
    edges = {(1, 2, "causes"): 0.0, (1, 3, "causes"): 0.0, (2, 4, "causes"): 1.0}
    found = spread(World(dict.fromkeys(range(1, 5), "self"), edges, {1: 1.0}), SpreadingSettings(fan=1))
    assert by_node(found) == {1: 1.0}
    assert found.paths_to(2) == []
    assert found.truncated


def test_the_fan_is_cut_after_the_filters() -> None:
    edges = {(1, 2, "next"): 1.0, (1, 3, "supports"): 0.5, (1, 4, "supports"): 0.1}
    settings = SpreadingSettings(
        decay=1.0, type_boost={}, fan=1, relation_types=frozenset({"supports"}), min_weight=0.2
    )
    found = spread(World(dict.fromkeys(range(1, 5), "self"), edges, {1: 1.0}), settings)
    assert by_node(found) == {1: 1.0, 3: 0.5}
    assert not found.truncated  # the lighter edge was filtered, not cut


def test_of_equally_heavy_edges_the_fan_takes_smaller_targets_then_smaller_types() -> None:
    edges = {(1, 4, "causes"): 0.5, (1, 3, "next"): 0.5, (1, 3, "supports"): 0.5, (1, 3, "causes"): 0.5}
    world = World(dict.fromkeys(range(1, 5), "self"), edges, {1: 1.0})
    found = spread(world, SpreadingSettings(fan=2))
    assert [path.relations for path in found.paths_to(3)] == [("causes",), ("next",)]
    assert 4 not in by_node(found)


def test_what_the_budget_leaves_out_counts_but_stays_where_it_is() -> None:
    edges = {(1, 2, "causes"): 0.5, (1, 3, "causes"): 0.5, (2, 4, "causes"): 1.0, (3, 5, "causes"): 1.0}
    world = World(dict.fromkeys(range(1, 6), "episodic"), edges, {1: 1.0})
    found = spread(world, SpreadingSettings(decay=1.0, node_budget=1))
    assert by_node(found) == {1: 1.0, 2: 0.5, 3: 0.5, 4: 0.5}
    assert found.truncated


def test_the_budget_binds_neither_seeds_nor_what_the_last_hop_reached() -> None:
    edges = {(1, 3, "causes"): 0.5, (2, 4, "causes"): 0.5}
    world = World(dict.fromkeys(range(1, 5), "episodic"), edges, {1: 1.0, 2: 1.0})
    found = spread(world, SpreadingSettings(max_hops=1, decay=1.0, node_budget=1))
    assert by_node(found) == {1: 1.0, 2: 1.0, 3: 0.5, 4: 0.5}
    assert not found.truncated


def test_top_takes_the_most_active_and_of_equals_the_older() -> None:
    seeds = {9: 2.0, 3: 1.0, 7: 1.0, 5: 1.0}
    found = spread(World(dict.fromkeys(seeds, "self"), {}, seeds))
    for k, nodes in {0: [], 1: [9], 3: [9, 3, 5], 4: [9, 3, 5, 7], 9: [9, 3, 5, 7]}.items():
        assert found.nodes[found.top(k)].tolist() == nodes


def test_without_seeds_or_edges_nothing_spreads() -> None:
    nothing = spread(World({}, {}, {}))
    assert by_node(nothing) == {}
    assert [len(frame.nodes) for frame in nothing.frames] == [0, 0, 0]
    assert nothing.paths_to(1) == []
    assert by_node(spread(World({1: "self"}, {}, {1: 2.0}))) == {1: 2.0}
    assert by_node(spread(World({1: "self"}, {(1, 2, "causes"): 1.0}, {1: 0.0}))) == {}


# Bounds and refusals


class Counting:
    """Counts the edges that a graph hands over."""

    def __init__(self, graph: TypedGraph) -> None:
        self._graph = graph
        self.handed_over: list[int] = []

    def missing(self, nodes: Ids) -> Ids:
        return self._graph.missing(nodes)

    def boosts_of(self, nodes: Ids, type_boost: Mapping[str, float]) -> Values:
        return self._graph.boosts_of(nodes, type_boost)

    def edges_out_of(self, nodes: Ids, *, settings: SpreadingSettings) -> OutEdges:
        edges = self._graph.edges_out_of(nodes, settings=settings)
        self.handed_over.append(len(edges.targets))
        return edges


def linked_hubs(n_hubs: int, n_spokes: int) -> tuple[TypedGraph, dict[int, float]]:
    """Hubs 1, 2, ..., each linked there and back with the same spokes; and the weight of each spoke's edges."""
    hubs, spokes = np.arange(1, n_hubs + 1), np.arange(n_hubs + 1, n_hubs + 1 + n_spokes)
    weights = (np.arange(n_spokes) * 7919 % n_spokes + 1) / n_spokes  # each multiple of 1 / n_spokes once
    out, back = np.repeat(hubs, n_spokes), np.tile(spokes, n_hubs)
    edges = EdgeRows(
        sources=np.concatenate([out, back]),
        targets=np.concatenate([back, out]),
        types=["similar_to"] * (2 * n_hubs * n_spokes),
        weights=np.tile(weights, 2 * n_hubs),
        provenances=["inferred"] * (2 * n_hubs * n_spokes),
    )
    nodes = np.concatenate([hubs, spokes])
    graph = TypedGraph.of(nodes, types=["semantic"] * len(nodes), edges=edges)
    return graph, dict(zip(spokes.tolist(), weights.tolist(), strict=True))


def test_a_hub_of_100_000_edges_costs_no_more_than_its_fan() -> None:
    graph, weights = linked_hubs(1, 100_000)
    counting: EdgeSource = (counter := Counting(graph))
    found = spread_activation(counting, {1: 1.0, 2: 1.0}, settings=SpreadingSettings(max_hops=3))
    # The fan of the hub and the edge of the other seed; then that fan again and an edge of each spoke; then those.
    assert counter.handed_over == [65, 128, 64]
    assert found.truncated
    heaviest = sorted(weights, key=lambda spoke: -weights[spoke])[:64]
    assert by_node(found.frames[1]) == close(
        {spoke: 0.6 * weights[spoke] for spoke in heaviest} | {1: 0.6e-5}
    )


def test_hubs_that_share_all_neighbours_take_memory_by_edges_not_by_paths() -> None:
    """In the second hop 5,000 edges arrive at each of 2 hubs; in the third each of 5,000 edges leads back over one."""
    graph, weights = linked_hubs(3, 5_000)
    settings = SpreadingSettings(max_hops=3, decay=1.0, fan=5_000)
    tracemalloc.start()
    found = spread_activation(graph, {1: 1.0}, settings=settings)
    paths = found.paths_to(4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000**2  # bytes: less than one for each edge that arrives with each that leads on
    of_others = sum(weight**2 for spoke, weight in weights.items() if spoke != 4)
    assert by_node(found.frames[3])[4] == pytest.approx(2 * of_others * weights[4], rel=1e-9)
    first, second = sorted(weights, key=lambda spoke: -weights[spoke])[:2]
    assert [path.nodes for path in paths] == [(1, 4), (1, first, 2, 4), (1, first, 3, 4)]
    assert [path.nodes for path in found.paths_to(first)][1:] == [
        (1, second, 2, first),
        (1, second, 3, first),
    ]


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), 1e101])
def test_a_seed_that_is_negative_or_not_finite_or_huge_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"must lie in .* got .* for 1\."):
        spread(World({1: "self"}, {}, {1: value}))


def test_the_largest_seeds_stay_finite() -> None:
    world = chain(1.0, 1.0, types=dict.fromkeys((1, 2, 3), "self"))
    boosts = SpreadingSettings(type_boost={"self": 10.0}, decay=1.0)
    assert by_node(spread(World(world.types, world.edges, {1: 1e100}), boosts))[3] == pytest.approx(1e102)


@pytest.mark.parametrize("unknown", [2, 3, -1, 10**18])
def test_a_seed_that_is_no_memory_is_not_found(unknown: int) -> None:
    world = World({1: "self"}, {(2, 1, "causes"): 1.0, (1, 3, "causes"): 1.0}, {1: 1.0, unknown: 1.0})
    with pytest.raises(NotFound, match=f"no memory with seq {unknown} ") as refused:
        spread(world)
    assert refused.value.details == {"seqs": [unknown]}
