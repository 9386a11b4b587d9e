"""Small typed graphs for property tests, and the definition of spreading activation, written out path by path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import strategies as st

from aspen.memory_graph import Activation, Frame, SpreadingSettings, TypedGraph, spread_activation
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


PLAIN = SpreadingSettings(decay=1.0, type_boost={})


def spread(world: World, settings: SpreadingSettings = PLAIN) -> Activation:
    return spread_activation(world.graph(), world.seeds, settings=settings)


def by_node(of: Activation | Frame) -> dict[int, float]:
    return dict(zip(of.nodes.tolist(), of.values.tolist(), strict=True))


def close(values: Mapping[int, float]) -> object:
    return pytest.approx(dict(values), rel=1e-9, abs=0)


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
EXACT_WEIGHTS = st.sampled_from([1.0, 0.5, 0.5, 0.25])
WEIGHTS = st.sampled_from([1.0, 0.1, 0.3, 0.3]) | st.floats(0.001, 1)
EXACT_VALUES = st.sampled_from([1.0, 1.0, 0.5, 3.0])
VALUES = EXACT_VALUES | st.floats(0.001, 5)


@st.composite
def worlds(draw: st.DrawFn, *, exact: bool = False) -> World:
    """Graphs with cycles, a hub, loops, parallel edges, equal weights, weights of 0, and edges to what is no memory.

    Ids are dense or far apart.
    """
    n = draw(st.sampled_from([6, 5, 4, 3, 2]))
    ids = draw(st.sampled_from([(1, 2, 3, 4, 5, 6), (2, 3, 50, 70_000, 10**9, 10**15)]))[:n]
    few_weights = draw(st.lists(EXACT_WEIGHTS if exact else WEIGHTS, min_size=4, max_size=4))
    few_values = draw(st.lists(EXACT_VALUES if exact else VALUES, min_size=3, max_size=3))
    # What is linked with what is left to a plain generator: collections that Hypothesis draws are small as a rule, and
    # then no two paths ever meet.
    random = Random(draw(st.integers(0, 2**32)))
    degree, hub = random.choice([1, 3, 5]), random.choice(ids)
    memories = [node for node in ids if random.random() < 0.9] or [hub]
    seeds = random.sample(memories, random.randint(1, len(memories)))
    edges = {
        (source, target, relation): random.choice([*few_weights, 0.0])
        for source in ids
        for target in ids
        for relation in RELATIONS
        if random.random() < degree / (3 * n) * (2 if target == hub else 1)
    }
    return World(
        types={memory: random.choice(MEMORY_TYPES) for memory in memories},
        edges=edges,
        seeds={memory: random.choice([*few_values, 0.0]) for memory in seeds},
    )


@st.composite
def layers(draw: st.DrawFn, *, exact: bool) -> World:
    """Four layers, each linked with the next: many paths of three hops meet in the last, some equally strong."""
    few_weights = draw(st.lists(EXACT_WEIGHTS if exact else WEIGHTS, min_size=3, max_size=3))
    random = Random(draw(st.integers(0, 2**32)))
    ids = random.sample(range(1, 20), 10)  # so that ids do not ascend from layer to layer
    by_layer = [ids[:3], ids[3:6], ids[6:9], ids[9:]]
    edges = {
        (source, target, relation): random.choice(few_weights)
        for layer, following in pairwise(by_layer)
        for source in layer
        for target in following
        for relation in RELATIONS[:2]
        if random.random() < 0.7
    }
    seeds = {seed: random.choice([1.0, 1.0, 0.5]) for seed in by_layer[0]}
    return World({node: random.choice(MEMORY_TYPES) for node in ids}, edges, seeds)


@st.composite
def settings_of(draw: st.DrawFn, *, exact: bool = False, budget: bool = True) -> SpreadingSettings:
    """Settings that often cut: small fans, small budgets (where `budget`), thresholds that weights lie on."""
    boost = st.sampled_from([1.0, 1.5, 2.0]) if exact else st.floats(1, 10)
    all_but_one = [frozenset(RELATIONS) - {relation} for relation in RELATIONS]
    return SpreadingSettings(
        max_hops=draw(st.sampled_from([3, 2, 3, 2, 3, 1, 0])),
        decay=draw(st.sampled_from([1.0, 0.5]) if exact else st.floats(0.1, 1)),
        type_boost=draw(st.dictionaries(st.sampled_from(MEMORY_TYPES), boost)),
        min_weight=draw(st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.3])),
        relation_types=draw(st.sampled_from([None, None, None, None, *all_but_one, frozenset[str]()])),
        fan=draw(st.sampled_from([100, 100, 4, 3, 2, 1])),
        node_budget=draw(st.sampled_from([100, 4, 3, 2, 1])) if budget else 100,
    )
