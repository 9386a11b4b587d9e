"""Each rule of spreading activation by itself, in numbers that can be worked out by hand."""

from collections.abc import Mapping

import pytest
from tests.unit.memory_graph.graph_worlds import World, by_node, close, spread

from aspen.memory_graph import Path, SpreadingSettings


def chain(*weights: float, types: Mapping[int, str] | None = None) -> World:
    """1 -> 2 -> 3 ..., and 1 is active."""
    edges = {(i, i + 1, "supports"): weight for i, weight in enumerate(weights, start=1)}
    return World(types or dict.fromkeys(range(1, len(weights) + 2), "episodic"), edges, {1: 1.0})


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
