"""What spreading activation costs at worst, and what it refuses."""

import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest
from tests.unit.memory_graph.graph_worlds import World, by_node, close, spread

from aspen.errors import InvalidInput, NotFound
from aspen.memory_graph import EdgeSource, OutEdges, SpreadingSettings, TypedGraph, spread_activation
from aspen.memory_graph.numbering import Ids, Values
from aspen.repository import EdgeRows


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
    world = World(dict.fromkeys((1, 2), "self"), {(1, 2, "causes"): 1.0}, {1: 1e100})
    boosted = SpreadingSettings(type_boost={"self": 10.0}, decay=1.0)
    assert by_node(spread(world, boosted))[2] == pytest.approx(1e101)


@pytest.mark.parametrize("unknown", [2, 3, -1, 10**18])
def test_a_seed_that_is_no_memory_is_not_found(unknown: int) -> None:
    world = World({1: "self"}, {(2, 1, "causes"): 1.0, (1, 3, "causes"): 1.0}, {1: 1.0, unknown: 1.0})
    with pytest.raises(NotFound, match=f"no memory with seq {unknown} ") as refused:
        spread(world)
    assert refused.value.details == {"seqs": [unknown]}
