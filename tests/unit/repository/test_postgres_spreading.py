"""Activation that spreads inside Postgres is that of the function on arrays: sums, frames, paths and what was cut."""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.memory_graph.graph_worlds import World, settings_of, worlds

from aspen.errors import InvalidInput, NotFound
from aspen.memory_graph import Activation, SpreadingSettings, StoredEdges, spread_activation, spread_in
from aspen.repository import SpreadingStore
from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import SUPERUSER
from aspen.testing.repository_builders import STAMP, new_memory
from aspen.types import Edge

_names = count()
PLAIN: dict[str, Any] = {"max_hops": 2, "decay": 1.0, "type_boost": {}, "fan": 64}


@pytest.fixture(scope="module")
def stores(new_postgres_url: Callable[..., str]) -> Iterator[list[PostgresRepository]]:
    """One that row-level security holds back, and one that it lets through."""
    with (
        PostgresRepository(new_postgres_url()) as owners,
        PostgresRepository(new_postgres_url(SUPERUSER)) as superusers,
    ):
        for store in (owners, superusers):
            store.set_stamp(STAMP)
        yield [owners, superusers]


def put(store: PostgresRepository, world: World) -> World:
    """Store what a store can hold of a world: edges between two memories; with the seqs that they got."""
    memories = store.add([new_memory(f"n{next(_names)}", type=kind) for kind in world.types.values()])
    seqs = {node: memory.seq for node, memory in zip(world.types, memories, strict=True)}
    edges = {
        (seqs[source], seqs[target], kind): weight
        for (source, target, kind), weight in world.edges.items()
        if source != target and source in seqs and target in seqs
    }
    store.relate([Edge(*name, weight) for name, weight in edges.items()])
    return World(
        {seqs[node]: kind for node, kind in world.types.items()},
        edges,
        {seqs[node]: value for node, value in world.seeds.items()},
    )


def options_of(chosen: SpreadingSettings) -> dict[str, Any]:
    return {
        "max_hops": chosen.max_hops,
        "decay": chosen.decay,
        "type_boost": chosen.type_boost,
        "min_weight": chosen.min_weight,
        "types": chosen.relation_types,
        "fan": chosen.fan,
    }


def check_same(store: PostgresRepository, world: World, chosen: SpreadingSettings, paths: int = 3) -> None:
    expected = spread_activation(world.graph(), world.seeds, settings=chosen)
    found = store.spread(world.seeds, **options_of(chosen), paths=paths)
    assert found.nodes.tolist() == expected.nodes.tolist()
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=0)
    assert found.seeds.tolist() == expected.seeds.tolist()
    assert found.truncated == expected.truncated
    for (nodes, values), frame in zip(found.frames, expected.frames, strict=True):
        assert nodes.tolist() == frame.nodes.tolist()
        np.testing.assert_allclose(values, frame.values, rtol=1e-9, atol=0)
    for node in expected.nodes.tolist():
        ways = [
            (path.nodes, path.relations, path.contribution) for path in expected.paths_to(node, limit=paths)
        ]
        assert [(way.nodes, way.types, way.contribution) for way in found.paths.get(node, ())] == ways
    assert set(found.paths) <= set(expected.nodes.tolist())
    assert len(list(found.paths)) == len(found.paths)


a_few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@a_few
@given(worlds(), settings_of(budget=False), st.integers(0, 4))
def test_it_is_the_same_inside_the_database(
    stores: list[PostgresRepository], world: World, chosen: SpreadingSettings, paths: int
) -> None:
    """Cycles, hubs, parallel edges, equal weights, weights of 0, small fans: to 1e-9, and the same paths exactly."""
    for store in stores:
        two_hops = SpreadingSettings(**{**vars(chosen), "max_hops": min(chosen.max_hops, 2)})
        check_same(store, put(store, world), two_hops, paths)


@a_few
@given(worlds(exact=True), settings_of(exact=True))
def test_whoever_asks_need_not_know_where_it_spreads(
    stores: list[PostgresRepository], world: World, chosen: SpreadingSettings
) -> None:
    """With three hops or a budget that may bite, edges are asked for hop by hop."""
    store = stores[0]
    assert isinstance(store, SpreadingStore)
    there = put(store, world)
    found = spread_in(store, there.seeds, settings=chosen)
    by_hops = spread_activation(StoredEdges(store), there.seeds, settings=chosen)
    assert found.nodes.tolist() == by_hops.nodes.tolist()
    assert found.values.tolist() == by_hops.values.tolist()
    assert found.truncated == by_hops.truncated
    inside = chosen.max_hops <= 2 and len(there.seeds) * chosen.fan <= chosen.node_budget
    assert isinstance(found, Activation) != inside


@pytest.mark.parametrize(
    ("weights", "seed"),
    [
        ((5e-324, 1.0), 1.0),
        ((1e-200, 1e-200), 1.0),
        ((1.0, 1.0), 5e-324),
        ((1e-10, 1e-10), 1e-300),
        ((1.0, 1.0), 1e100),
    ],
)
def test_the_smallest_and_the_largest_numbers_are_no_error(
    stores: list[PostgresRepository], weights: tuple[float, float], seed: float
) -> None:
    edges = {(1, 2, "x"): weights[0], (2, 3, "x"): weights[1]}
    world = put(stores[0], World(dict.fromkeys((1, 2, 3), "self"), edges, {1: seed}))
    chosen = SpreadingSettings(type_boost={"self": 10.0}, decay=1.0)
    expected = spread_activation(world.graph(), world.seeds, settings=chosen)
    found = stores[0].spread(world.seeds, **options_of(chosen))
    values = [
        {
            node: value
            for node, value in zip(told.nodes.tolist(), told.values.tolist(), strict=True)
            if value > 1e-320
        }
        for told in (found, expected)
    ]  # the last numbers before 0 are rounded to 0 by the one and not by the other
    assert values[0] == pytest.approx(values[1], rel=1e-9, abs=0)


def test_a_seed_that_is_not_there_is_named(stores: list[PostgresRepository]) -> None:
    mine, others = stores
    (own,) = (memory.seq for memory in mine.add([new_memory(f"n{next(_names)}")]))
    beyond = max(own, others.add([new_memory(f"n{next(_names)}") for _ in range(own + 1)])[-1].seq)
    assert others.spread({beyond: 1.0}, **PLAIN).nodes.tolist() == [beyond]
    for unknown in (beyond, 0, -1, 2**70):  # the first is a memory of another tenant
        with pytest.raises(NotFound) as caught:
            mine.spread({own: 1.0, unknown: 0.0}, **PLAIN)
        assert caught.value.details["id"] == unknown


@pytest.mark.parametrize(
    "bad",
    [
        {"max_hops": 3}, {"max_hops": -1}, {"max_hops": True}, {"decay": 0}, {"decay": 1.5}, {"decay": float("nan")},
        {"type_boost": {"self": 0.5}}, {"type_boost": {"self": float("inf")}}, {"type_boost": {1: 2.0}}, {"fan": 0},
        {"min_weight": 2.0}, {"types": [1]}, {"paths": -1},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused(stores: list[PostgresRepository], bad: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        stores[0].spread({}, **{**PLAIN, **bad})


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), 1e101, True, "1"])
def test_activations_that_no_seed_can_have_are_refused(stores: list[PostgresRepository], value: Any) -> None:
    with pytest.raises(InvalidInput, match="activation of a seed"):
        stores[0].spread({1: value}, **PLAIN)


def test_nothing_spreads_from_nothing(stores: list[PostgresRepository]) -> None:
    found = stores[0].spread({}, **PLAIN)
    assert found.nodes.tolist() == found.values.tolist() == []
    assert [len(nodes) for nodes, _ in found.frames] == [0, 0, 0]
    assert dict(found.paths) == {}
    assert not found.truncated


def test_no_query_is_spoken_by_a_name(stores: list[PostgresRepository]) -> None:
    world = put(stores[0], World({1: "self", 2: "self"}, {(1, 2, "'; DROP TABLE x --"): 0.5}, {1: 1.0}))
    for types in (None, {"'; DROP TABLE x --"}, {"\ud800", "a\x00", "'; DROP TABLE x --"}):
        found = stores[0].spread(world.seeds, **PLAIN, types=types)
        assert len(found.nodes) == 2
    assert len(stores[0].spread(world.seeds, **PLAIN, types={"\ud800"}).nodes) == 1


@pytest.mark.slow
def test_a_hub_costs_no_more_than_its_fan(new_postgres_url: Callable[..., str]) -> None:
    """Of 20,000 edges out of each of five hubs, all of which lead to each other's neighbours."""
    with PostgresRepository(new_postgres_url()) as store:
        store.set_stamp(STAMP)
        seqs = [memory.seq for memory in store.add([new_memory(f"h{n}") for n in range(20_000)])]
        hubs, spokes = seqs[:5], seqs[5:]
        for hub in hubs:
            store.relate([Edge(hub, spoke, "x", 0.5 + spoke / 100_000) for spoke in spokes])
        store.relate([Edge(spoke, hubs[0], "x", 0.5) for spoke in spokes])
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            found = store.spread(dict.fromkeys(hubs, 1.0), **PLAIN)
            seconds.append(time.perf_counter() - started)
        assert len(found.nodes) == 5 + 64
        assert found.truncated
        assert min(seconds) < 0.3  # measured: 0.01
