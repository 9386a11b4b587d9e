"""Spreading activation over typed relations: a pure function on arrays.

Semantics, the same in every home of the graph (Collins and Loftus 1975; Anderson 1983):

- Activation flows along the direction of edges. A hop carries `activation x weight x boost x decay`, where the boost
  is that of the type of the *receiving* memory. All hops of one round happen at once.
- A memory's activation is its seed activation plus all that arrived, summed over hops, paths and parallel edges.
- No path goes straight back to the node it came from, so that two linked memories do not echo. An edge back still
  takes its place in the fan.
- Of the memories a hop reached, the `node_budget` most active (ties: smaller seq) go on to the next hop. What arrived
  at the others counts, but stays there.
- The number of hops is bounded, hence cycles stay finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen.errors import InvalidInput, NotFound
from aspen.memory_graph.edge_source import EdgeSource, OutEdges
from aspen.memory_graph.hops import Frame, Hop, highest
from aspen.memory_graph.numbering import Ids, Rows, Values, distinct, sums
from aspen.memory_graph.paths import Path, PathFinder
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.validation import is_number

MAX_SEED_ACTIVATION = 1e100
"""Keeps every sum finite."""


@dataclass(frozen=True)
class Activation:
    """Where activation went, and how.

    nodes: int64 [n] ascending, every node with activation > 0; values: float64 [n], its activation; seeds: float64 [n],
    the part of it that it started with.
    frames: what arrived in each hop, max_hops + 1 of them; frame 0 holds the seeds. Together they sum to `values`.
    truncated: whether the fan limit left out an edge, or the node budget a node that had hops to go.
    hops: the edges that carried, one `Hop` for each frame but the first.
    """

    nodes: Ids
    values: Values
    seeds: Values
    frames: tuple[Frame, ...]
    truncated: bool
    hops: tuple[Hop, ...]

    def top(self, k: int) -> Rows:
        """The rows of the `k` most active nodes, most active first; of equal ones the smaller seq. int64 [<= k]."""
        return highest(self.values, max(k, 0))

    def paths_to(self, node: int, *, limit: int = 3) -> list[Path]:
        """The `limit` paths that brought a node the most: strongest first, then shorter, smaller nodes, types.

        The contributions of all paths to a node sum to its activation less what it started with.
        """
        return self._finder.strongest(node, limit=limit)

    @cached_property
    def _finder(self) -> PathFinder:
        return PathFinder(self.frames[0], self.hops)


def spread_activation(
    source: EdgeSource, initial: Mapping[int, float], *, settings: SpreadingSettings
) -> Activation:
    """Let the activation of some memories, `initial` by seq, spread over the edges of `source`.

    Seeds of activation 0 are not active. InvalidInput for one that is negative, not finite or above
    MAX_SEED_ACTIVATION, NotFound for a seed that is no memory. At most seeds x fan edges are followed in the first hop,
    and node_budget x fan in each later one.
    """
    frames, hops = [_seed_frame(source, initial)], list[Hop]()
    truncated = False
    for _ in range(settings.max_hops):
        going_on = frames[-1].strongest(settings.node_budget) if hops else frames[-1]
        edges = source.edges_out_of(going_on.nodes, settings=settings)
        truncated |= edges.cut or len(going_on.nodes) < len(frames[-1].nodes)
        passed = (
            hops[-1].total_passed(edges)
            if hops
            else going_on.values[np.searchsorted(going_on.nodes, edges.sources)]
        )
        hops.append(_follow(source, edges, passed, settings))
        frames.append(hops[-1].arrived())
    nodes, rows = distinct(np.concatenate([frame.nodes for frame in frames]))
    values = sums(rows, np.concatenate([frame.values for frame in frames]), n=len(nodes))
    seeds = np.zeros(len(nodes))
    seeds[rows[: len(frames[0].nodes)]] = frames[0].values
    return Activation(nodes, values, seeds, tuple(frames), truncated, tuple(hops))


def _follow(source: EdgeSource, edges: OutEdges, passed: Values, settings: SpreadingSettings) -> Hop:
    targets, rows = distinct(edges.targets)
    boosts = source.boosts_of(targets, settings.type_boost)[rows]
    return Hop(edges, targets, rows, boosts, settings.decay, passed)


def check_seeds(initial: Mapping[int, float]) -> None:
    """InvalidInput for an activation that no seed may have."""
    for node, value in initial.items():
        if not (is_number(value) and 0 <= value <= MAX_SEED_ACTIVATION):
            raise InvalidInput(
                f"The activation of a seed must lie in [0, {MAX_SEED_ACTIVATION:g}], got {value!r} for {node}.",
                hint="Give scores that are finite and not negative, or 1 for each seed.",
                seed=node,
                value=value,
            )


def _seed_frame(source: EdgeSource, initial: Mapping[int, float]) -> Frame:
    check_seeds(initial)
    nodes = np.array(sorted(initial), dtype=np.int64)
    missing = source.missing(nodes)
    if len(missing):
        raise NotFound(
            f"There is no memory with seq {missing[0]} to start from.",
            hint="It may have been forgotten; search again for seeds.",
            seqs=missing.tolist(),
        )
    values = np.array([initial[node] for node in nodes.tolist()], dtype=np.float64)
    active = values > 0
    return Frame(nodes[active], values[active])
