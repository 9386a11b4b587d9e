"""Small typed graphs for property tests, and the definition of spreading activation, written out path by path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from aspen.memory_graph import SpreadingSettings, TypedGraph
from aspen.repository import EdgeRows

MEMORY_TYPES = ("self", "belief", "episodic")
RELATIONS = ("supports", "causes", "next")
Edges = dict[tuple[int, int, str], float]


@dataclass(frozen=True)
class World:
    """Memories with their types, edges (some of which name nodes that are no memories), and seeds."""

    types: Mapping[int, str]
    edges: Edges
    seeds: Mapping[int, float] = field(default_factory=dict)

    def graph(self) -> TypedGraph:
        nodes = np.array(list(self.types), dtype=np.int64)
        return TypedGraph.of(nodes, types=list(self.types.values()), edges=edge_rows(self.edges))


def edge_rows(edges: Edges) -> EdgeRows:
    return EdgeRows(
        sources=np.array([source for source, _, _ in edges], dtype=np.int64),
        targets=np.array([target for _, target, _ in edges], dtype=np.int64),
        types=[relation for _, _, relation in edges],
        weights=np.array(list(edges.values()), dtype=np.float64),
        provenances=["inferred"] * len(edges),
    )


@dataclass(frozen=True)
class Walk:
    nodes: tuple[int, ...]
    relations: tuple[str, ...]
    brought: float


@dataclass(frozen=True)
class Outcome:
    """What the definition says: activation by node, by node in each hop, every path, and whether something was cut."""

    activation: dict[int, float]
    frames: list[dict[int, float]]
    walks: list[Walk]
    truncated: bool


def fan_of(world: World, node: int, settings: SpreadingSettings) -> tuple[list[tuple[int, str, float]], bool]:
    """The (target, type, weight) of the edges that carry out of a node, and whether the limit left one out."""
    wanted = settings.relation_types
    allowed = [
        (target, relation, weight)
        for (source, target, relation), weight in world.edges.items()
        if source == node and weight >= settings.min_weight and (wanted is None or relation in wanted)
    ]
    allowed.sort(key=lambda edge: (-edge[2], edge[0], edge[1]))
    return allowed[: settings.fan], len(allowed) > settings.fan


def by_definition(world: World, settings: SpreadingSettings) -> Outcome:
    going_on = [Walk((node,), (), value) for node, value in world.seeds.items() if value > 0]
    frames = [{walk.nodes[0]: walk.brought for walk in going_on}]
    walks: list[Walk] = []
    truncated = False
    for hop in range(settings.max_hops):
        if hop > 0:
            ranked = sorted(frames[-1], key=lambda node: (-frames[-1][node], node))
            kept = set(ranked[: settings.node_budget])
            truncated = truncated or len(kept) < len(ranked)
            going_on = [walk for walk in going_on if walk.nodes[-1] in kept]
        longer, arrived = [], defaultdict[int, float](float)
        for walk in going_on:
            edges, cut = fan_of(world, walk.nodes[-1], settings)
            truncated = truncated or cut
            for target, relation, weight in edges:
                straight_back = len(walk.nodes) > 1 and walk.nodes[-2] == target
                if straight_back or weight == 0:
                    continue
                boost = settings.type_boost.get(world.types.get(target, ""), 1.0)
                brought = walk.brought * weight * boost * settings.decay
                longer.append(Walk((*walk.nodes, target), (*walk.relations, relation), brought))
                arrived[target] += brought
        frames.append(dict(arrived))
        walks += longer
        going_on = longer
    activation = defaultdict[int, float](float)
    for frame in frames:
        for node, value in frame.items():
            activation[node] += value
    return Outcome(dict(activation), frames, walks, truncated)


# Sums and products of a few of these are exact in binary, so that equal values are equal in whatever order they were
# added, and what a budget keeps is defined.
EXACT_WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 1.0])
WEIGHTS = st.sampled_from([0.0, 0.1, 0.3, 1.0]) | st.floats(0.001, 1)


@st.composite
def worlds(draw: st.DrawFn, *, exact: bool = False) -> World:
    """Graphs with cycles, hubs, loops, parallel edges, equal weights, weights of 0, and edges to what is no memory.

    Ids are dense or far apart.
    """
    ids = draw(st.sampled_from([(1, 2, 3, 4, 5, 6), (2, 3, 50, 70_000, 10**9, 10**15)]))
    hub, *others = draw(st.permutations(ids))
    memories = draw(st.sets(st.sampled_from(ids), min_size=1))
    node = st.sampled_from([hub, hub, hub, *others])
    keys = st.tuples(node, node, st.sampled_from(RELATIONS))
    weight = EXACT_WEIGHTS if exact else WEIGHTS
    value = st.sampled_from([0.0, 0.5, 1.0, 3.0]) if exact else st.just(0.0) | st.floats(0.001, 5)
    return World(
        types={memory: draw(st.sampled_from(MEMORY_TYPES)) for memory in sorted(memories)},
        edges=draw(st.dictionaries(keys, weight, max_size=20)),
        seeds=draw(st.dictionaries(st.sampled_from(sorted(memories)), value, max_size=4)),
    )


@st.composite
def settings_of(draw: st.DrawFn, *, exact: bool = False, budget: bool = True) -> SpreadingSettings:
    """Settings that often cut: small fans, small budgets (where `budget`), thresholds that weights lie on."""
    boost = st.sampled_from([1.0, 1.5, 2.0]) if exact else st.floats(1, 10)
    return SpreadingSettings(
        max_hops=draw(st.integers(0, 3)),
        decay=draw(st.sampled_from([0.5, 1.0]) if exact else st.floats(0.1, 1)),
        type_boost=draw(st.dictionaries(st.sampled_from(MEMORY_TYPES), boost)),
        min_weight=draw(st.sampled_from([0.0, 0.0, 0.25, 0.3, 0.5])),
        relation_types=draw(st.none() | st.frozensets(st.sampled_from(RELATIONS))),
        fan=draw(st.sampled_from([1, 2, 3, 100])),
        node_budget=draw(st.sampled_from([1, 2, 3, 100])) if budget else 100,
    )
