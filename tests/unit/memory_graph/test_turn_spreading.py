import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.errors import InvalidInput
from aspen.memory_graph import TurnGraph, TurnPath, spread_over_turns, strongest_turn_paths

Edges = list[tuple[int, int, float]]


def graph_of(n_nodes: int, edges: Edges) -> TurnGraph:
    sources, targets, weights = zip(*edges, strict=True) if edges else ((), (), ())
    return TurnGraph.of(
        n_nodes=n_nodes,
        sources=np.array(sources, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        weights=np.array(weights, dtype=np.float64),
    )


def active(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def every_path(edges: Edges, initial: list[float], *, hops: int, decay: float) -> list[TurnPath]:
    """The definition: every walk of 1 to `hops` edges that never steps straight back."""
    found: list[TurnPath] = []

    def walk(nodes: tuple[int, ...], activation: float) -> None:
        if len(nodes) > hops:
            return
        for source, target, weight in edges:
            came_from = nodes[-2] if len(nodes) > 1 else None
            if source == nodes[-1] and target != came_from:
                found.append(TurnPath((*nodes, target), activation * weight * decay))
                walk((*nodes, target), activation * weight * decay)

    for node, activation in enumerate(initial):
        walk((node,), activation)
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Edges, list[float]]:
    """Graphs with cycles, parallel edges, loops and zero weights."""
    n_nodes = draw(st.integers(1, 5))
    node = st.integers(0, n_nodes - 1)
    weight = st.sampled_from([0.0, 0.3, 1.0]) | st.floats(0.01, 1)
    edges = draw(st.lists(st.tuples(node, node, weight), max_size=9))
    initial = draw(st.lists(st.just(0.0) | st.floats(0.01, 5), min_size=n_nodes, max_size=n_nodes))
    return edges, initial


@given(worlds(), st.integers(0, 3), st.just(0.0) | st.floats(0.01, 1))
def test_what_arrives_is_the_sum_over_all_paths_without_steps_straight_back(
    world: tuple[Edges, list[float]], hops: int, decay: float
) -> None:
    edges, initial = world
    expected = np.zeros(len(initial))
    for path in every_path(edges, initial, hops=hops, decay=decay):
        expected[path.nodes[-1]] += path.contribution
    arrived = spread_over_turns(graph_of(len(initial), edges), active(*initial), hops=hops, decay=decay)
    np.testing.assert_allclose(arrived, expected, rtol=1e-9, atol=1e-12)


@given(worlds(), st.integers(0, 3), st.floats(0.01, 1))
def test_strongest_paths_are_all_paths_and_together_bring_what_arrived(
    world: tuple[Edges, list[float]], hops: int, decay: float
) -> None:
    edges, initial = world
    graph = graph_of(len(initial), edges)
    arrived = spread_over_turns(graph, active(*initial), hops=hops, decay=decay)
    every = every_path(edges, initial, hops=hops, decay=decay)
    for target in range(len(initial)):
        paths = strongest_turn_paths(graph, active(*initial), target, hops=hops, decay=decay, limit=10**6)
        wanted = [path for path in every if path.nodes[-1] == target and path.contribution > 0]
        assert sorted(path.nodes for path in paths) == sorted(path.nodes for path in wanted)
        assert sum(path.contribution for path in paths) == pytest.approx(arrived[target], abs=1e-12)
        assert [p.contribution for p in paths] == sorted((p.contribution for p in paths), reverse=True)


def test_two_linked_memories_do_not_echo() -> None:
    there_and_back = graph_of(2, [(0, 1, 1.0), (1, 0, 1.0)])
    np.testing.assert_array_equal(spread_over_turns(there_and_back, active(1, 0), hops=3), [0, 1])


def test_a_cycle_of_three_comes_round() -> None:
    triangle = graph_of(3, [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)])
    np.testing.assert_array_equal(spread_over_turns(triangle, active(1, 0, 0), hops=3), [1, 1, 1])


def test_two_ways_to_a_memory_add_up_and_each_hop_decays() -> None:
    diamond = graph_of(4, [(0, 1, 1.0), (0, 2, 0.5), (1, 3, 1.0), (2, 3, 1.0)])
    arrived = spread_over_turns(diamond, active(8, 0, 0, 0), hops=2, decay=0.5)
    np.testing.assert_allclose(arrived, [0, 4, 2, 2 + 1])
    paths = strongest_turn_paths(diamond, active(8, 0, 0, 0), 3, hops=2, decay=0.5)
    assert paths == [TurnPath((0, 1, 3), 2.0), TurnPath((0, 2, 3), 1.0)]


def test_what_a_memory_started_with_is_not_part_of_what_arrives() -> None:
    assert spread_over_turns(graph_of(2, [(0, 1, 0.5)]), active(3, 0))[0] == 0


def test_equal_paths_come_shorter_first_then_by_smaller_nodes_and_the_limit_holds() -> None:
    # To node 3: directly from 2, directly from 1, and from 0 over 1; each brings 1.
    graph = graph_of(4, [(2, 3, 1.0), (1, 3, 1.0), (0, 1, 1.0)])
    paths = strongest_turn_paths(graph, active(1, 1, 1, 0), 3)
    assert [path.nodes for path in paths] == [(1, 3), (2, 3), (0, 1, 3)]
    assert len(strongest_turn_paths(graph, active(1, 1, 1, 0), 3, limit=2)) == 2


def test_no_hops_and_no_edges_bring_nothing() -> None:
    graph = graph_of(2, [(0, 1, 1.0)])
    np.testing.assert_array_equal(spread_over_turns(graph, active(1, 1), hops=0), [0, 0])
    assert strongest_turn_paths(graph, active(1, 1), 1, hops=0) == []
    np.testing.assert_array_equal(spread_over_turns(graph_of(2, []), active(1, 1)), [0, 0])
    assert strongest_turn_paths(graph_of(2, []), active(1, 1), 0) == []
    assert spread_over_turns(graph_of(0, []), active()).shape == (0,)


@pytest.mark.parametrize("edge", [(0, 2, 1.0), (-1, 0, 1.0), (0, 1, 1.5), (0, 1, -0.1), (0, 1, float("nan"))])
def test_edges_out_of_range_are_refused(edge: tuple[int, int, float]) -> None:
    with pytest.raises(InvalidInput):
        graph_of(2, [edge])


@pytest.mark.parametrize("initial", [active(1), active(1, -1), active(1, np.nan), active(np.inf, 0)])
def test_initial_activation_must_fit_be_finite_and_not_negative(
    initial: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    graph = graph_of(2, [(0, 1, 1.0)])
    with pytest.raises(InvalidInput):
        spread_over_turns(graph, initial)
    with pytest.raises(InvalidInput):
        strongest_turn_paths(graph, initial, 1)


@pytest.mark.parametrize(("hops", "decay"), [(-1, 1.0), (4, 1.0), (2, -0.1), (2, 1.1), (2, float("nan"))])
def test_hops_and_decay_out_of_range_are_refused(hops: int, decay: float) -> None:
    with pytest.raises(InvalidInput):
        spread_over_turns(graph_of(2, [(0, 1, 1.0)]), active(1, 0), hops=hops, decay=decay)
