"""A memory with 100,000 relations: what each store does to spread from it and to read beside it stays small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from aspen.memory_graph import SpreadingSettings, spread_in
from aspen.repository import Repository, open_repository
from aspen.testing.repository_builders import STAMP, new_memory
from aspen.types import Edge

pytestmark = pytest.mark.slow

TYPES = [f"t{number:02}" for number in range(50)]
LIMIT = 1.0
"""Seconds; measured 0.002 to 0.1. A look at every edge for each memory that is reached takes more than five."""


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Repository, list[int]]]:
    """A store, and the seqs of a hub and of 2,000 others: 50 edges to each of these, and one back."""
    match request.param:
        case "memory":
            location = ":memory:"
        case "sqlite":
            location = str(tmp_path_factory.mktemp("hub") / "store.db")
        case _:
            location = request.getfixturevalue("new_postgres_url")()
    with closing(open_repository(location)) as store:
        store.set_stamp(STAMP)
        seqs = [memory.seq for memory in store.add([new_memory(f"m{n}") for n in range(2_001)])]
        first, *others = seqs
        store.relate([Edge(first, other, kind, 0.5) for other in others for kind in TYPES])
        store.relate([Edge(other, first, "back", 0.5) for other in others])
        yield store, seqs


def fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


@pytest.mark.parametrize("hops", [2, 3])
def test_spreading_from_it(hub: tuple[Repository, list[int]], hops: int) -> None:
    store, (first, *others) = hub
    settings = SpreadingSettings(max_hops=hops)
    found = spread_in(store, dict.fromkeys([first, *others[-300:]], 1.0), settings=settings)
    assert found.truncated
    assert set(found.nodes.tolist()) == {
        first,
        *others[:2],
        *others[-300:],
    }  # the fan ends in the second of them
    assert fastest(lambda: spread_in(store, {first: 1.0}, settings=settings)) < LIMIT


def test_reading_the_edges_of_what_lies_around_it(hub: tuple[Repository, list[int]]) -> None:
    store, seqs = hub
    around = seqs[1:1_001]
    assert len(store.out_edges(around, fan=64).sources) == 1_000
    assert fastest(lambda: store.out_edges(around, fan=64)) < LIMIT
