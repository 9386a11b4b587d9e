"""The contract of stores: activation spreads over what they hold as it does over a graph in memory."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from aspen.errors import NotFound
from aspen.memory_graph import Activated, SpreadingSettings, TypedGraph, spread_activation, spread_in
from aspen.repository import Repository
from aspen.testing.repository_builders import new_memory
from aspen.types import Edge, MemoryType

_RELATIONS = ("supports", "causes", "next", "é")
_WEIGHTS = (0.0, 0.25, 0.5, 0.5, 1.0, 1 / 3)
_SETTINGS = [
    SpreadingSettings(max_hops=hops, decay=decay, fan=fan, min_weight=least, relation_types=types)
    for (hops, types), (decay, fan, least) in product(
        [
            (0, None),
            (1, None),
            (2, None),
            (2, frozenset({"supports", "é"})),
            (2, frozenset[str]()),
            (3, None),
        ],
        [(0.6, 64, 0.0), (1.0, 2, 0.3), (0.5, 1, 0.0)],
    )
]


class SpreadingContract:
    """Tests of `EdgeStore` and `SpreadingStore`, through `aspen.memory_graph.spread_in`."""

    @pytest.mark.parametrize("seed", range(4))
    def test_activation_spreads_as_over_a_graph_in_memory(self, store: Repository, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secrets here
        seqs = _filled(store, chance)
        graph = _graph(store)
        for settings in _SETTINGS:
            initial = {seq: chance.choice([0.0, 0.5, 1.0, 2.5]) for seq in chance.sample(seqs, 4)}
            found = spread_in(store, initial, settings=settings)
            _assert_same(found, spread_activation(graph, initial, settings=settings))

    def test_a_hub_gives_no_more_than_its_fan(self, store: Repository) -> None:
        hub, *spokes = (memory.seq for memory in store.add([new_memory(f"m{n}") for n in range(200)]))
        store.relate([Edge(hub, spoke, "causes", 0.5) for spoke in spokes])
        found = spread_in(store, {hub: 1.0}, settings=SpreadingSettings(fan=10))
        assert found.nodes.tolist() == [hub, *spokes[:10]]
        assert found.truncated
        assert not spread_in(store, {hub: 1.0}, settings=SpreadingSettings(fan=199)).truncated

    def test_an_unknown_seed_is_not_found(self, store: Repository) -> None:
        (known,) = (memory.seq for memory in store.add([new_memory("a")]))
        with pytest.raises(NotFound):
            spread_in(store, {known: 1.0, known + 7: 1.0}, settings=SpreadingSettings())

    def test_activation_spreads_while_others_relate(self, store: Repository) -> None:
        seqs = [memory.seq for memory in store.add([new_memory(f"m{n}") for n in range(30)])]

        def relate(start: int) -> None:
            for n in range(10):
                store.relate([Edge(seqs[start], other, "causes", 0.5) for other in seqs[10 + n : 12 + n]])

        def spread(start: int) -> list[int]:
            return [
                len(spread_in(store, {seqs[start]: 1.0}, settings=SpreadingSettings()).nodes)
                for _ in range(10)
            ]

        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(relate, start) for start in range(4)]
            readers = [pool.submit(spread, start) for start in range(4)]
        for writer in writers:
            writer.result()
        for reader in readers:
            reached = (
                reader.result()
            )  # each call saw whole transactions: the seed, and two more with each of them
            assert reached == sorted(reached)
            assert set(reached) <= {1, *range(3, 13)}
        for start in range(4):
            assert spread(start)[-1] == 12


def _filled(store: Repository, chance: random.Random) -> list[int]:
    """Few memories and many edges, so that there are cycles, hubs and parallel edges."""
    kinds = [chance.choice(list(MemoryType)) for _ in range(12)]
    added = store.add([new_memory(f"m{n}", type=kind) for n, kind in enumerate(kinds)])
    seqs = [memory.seq for memory in added]
    ends = [chance.sample(seqs, 2) for _ in range(60)]
    edges = [
        Edge(source, target, chance.choice(_RELATIONS), chance.choice(_WEIGHTS)) for source, target in ends
    ]
    edges += [Edge(seqs[0], seq, "supports", 0.5) for seq in seqs[1:]]
    store.relate(edges)
    store.forget([added[-1].id])
    return seqs[:-1]


def _graph(store: Repository) -> TypedGraph:
    changes = store.changes(0)
    return TypedGraph.of(changes.memories.seqs, types=changes.memories.types, edges=changes.edges)


def _assert_same(found: Activated, expected: Activated) -> None:
    assert found.nodes.tolist() == expected.nodes.tolist()
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.seeds, expected.seeds, rtol=1e-9, atol=0)
    assert found.truncated == expected.truncated
    assert len(found.frames) == len(expected.frames)
    for frame, other in zip(found.frames, expected.frames, strict=True):
        assert frame.nodes.tolist() == other.nodes.tolist()
        np.testing.assert_allclose(frame.values, other.values, rtol=1e-9, atol=0)
    for node in expected.nodes.tolist():
        paths, others = found.paths_to(node), expected.paths_to(node)
        assert len(paths) == len(others)
        for path, expected_path in zip(paths, others, strict=True):
            # Of equally strong ones floating point may put either first; their strengths are the same.
            assert path.contribution == pytest.approx(expected_path.contribution, rel=1e-9)
            assert path.nodes[-1] == node
            assert len(path.relations) == len(path.nodes) - 1
