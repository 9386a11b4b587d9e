"""Spreading activation over the turns of a conversation: dense, in rows, over all edges at once.

The same as `spread_activation` without types, limits and relation names, for the case in which every memory is active:

- A hop carries `activation x edge weight x decay` from a memory to each memory it has an edge to. All hops of one
  round happen at once.
- What arrives over several paths is summed. The result of a memory is what arrived at it over all hops; its own
  initial activation is not part of it.
- A path never goes straight back to the memory it came from, so that two linked memories do not echo.
- The number of hops is bounded, hence cycles stay finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.memory_graph.spreading_settings import MAX_HOPS

_Index = NDArray[np.int64]
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class TurnGraph:
    """A directed weighted graph over nodes 0..n-1 as edge columns, sorted by source.

    sources, targets: int64 [m]; weights: float64 [m], each in [0, 1].
    """

    n_nodes: int
    sources: _Index
    targets: _Index
    weights: _Values

    @classmethod
    def of(cls, *, n_nodes: int, sources: _Index, targets: _Index, weights: _Values) -> TurnGraph:
        """Sort and check edge columns. InvalidInput for a node out of range or a weight outside [0, 1]."""
        if len(sources) and not (
            min(sources.min(), targets.min()) >= 0 and max(sources.max(), targets.max()) < n_nodes
        ):
            raise InvalidInput(f"An edge names a node outside 0..{n_nodes - 1}.")
        if not ((weights >= 0) & (weights <= 1)).all():
            raise InvalidInput("Edge weights must lie in [0, 1].")
        order = np.lexsort((targets, sources))
        return cls(n_nodes, sources[order], targets[order], weights[order])

    @cached_property
    def offsets(self) -> _Index:
        """Edges of node i are those from offsets[i] to offsets[i + 1]."""
        return np.searchsorted(self.sources, np.arange(self.n_nodes + 1))

    @cached_property
    def incoming(self) -> tuple[_Index, _Index]:
        """Edges by target: an order of the edges, and offsets into it as in `offsets`."""
        order = np.argsort(self.targets, kind="stable")
        return order, np.searchsorted(self.targets[order], np.arange(self.n_nodes + 1))

    @cached_property
    def pairs(self) -> tuple[_Index, _Index]:
        """For each edge, the number of its (source, target) pair, and that of the pair back, or -1."""
        forward = self.sources * self.n_nodes + self.targets
        unique, pair = np.unique(forward, return_inverse=True)
        back = self.targets * self.n_nodes + self.sources
        position = np.searchsorted(unique, back).clip(max=max(len(unique) - 1, 0))
        found = unique[position] == back if len(unique) else np.zeros(0, dtype=np.bool_)
        return pair.astype(np.int64), np.where(found, position, -1)


@dataclass(frozen=True, slots=True)
class TurnPath:
    """A way activation took: `nodes` from the seed to the memory reached, and how much it brought.

    `via` says what joins them where that is not time.
    """

    nodes: tuple[int, ...]
    contribution: float
    via: str = ""


def spread_over_turns(graph: TurnGraph, initial: _Values, *, hops: int = 2, decay: float = 1.0) -> _Values:
    """What arrives at each node, float64 [n], when `initial` [n] >= 0 spreads for `hops` rounds.

    decay in [0, 1] applies at every hop. Time is O(hops x edges).
    """
    arrived = np.zeros(graph.n_nodes)
    for carried in turn_rounds(graph, initial, hops=hops, decay=decay):
        arrived += _arrived(graph, carried)
    return arrived


def turn_rounds(
    graph: TurnGraph, initial: _Values, *, hops: int = 2, decay: float = 1.0
) -> Iterator[_Values]:
    """What each edge of the graph brings to its target, float64 [m], round by round: see `spread_over_turns`."""
    _check(graph, initial, hops=hops, decay=decay)
    if len(graph.sources) == 0:
        return
    pair, pair_back = graph.pairs
    factors = graph.weights * decay
    reached, returning = initial, np.zeros(len(graph.sources))
    for _ in range(hops):
        carried = np.maximum(reached[graph.sources] - returning, 0.0) * factors
        yield carried
        reached = _arrived(graph, carried)
        # What an edge carries in the next round is all that reached its source, less what came from its target.
        per_pair = np.bincount(pair, carried, minlength=len(pair))
        returning = np.where(pair_back >= 0, per_pair[pair_back], 0.0)


def _arrived(graph: TurnGraph, carried: _Values) -> _Values:
    """What comes to each node [n] over edges that carry so much [m]."""
    return np.bincount(graph.targets, carried, minlength=graph.n_nodes).astype(np.float64, copy=False)


def strongest_turn_paths(
    graph: TurnGraph, initial: _Values, target: int, *, hops: int = 2, decay: float = 1.0, limit: int = 3
) -> list[TurnPath]:
    """The `limit` paths that brought `target` the most, strongest first (ties: shorter, then smaller nodes).

    Their contributions, summed over *all* paths, are what `spread_over_turns` says arrived.
    """
    _check(graph, initial, hops=hops, decay=decay)
    order, offsets = graph.incoming
    found: list[TurnPath] = []
    # Walk backwards from the target; `gain` is the product of weights and decays walked so far.
    frontier: list[tuple[tuple[int, ...], float]] = [((target,), 1.0)]
    for _ in range(hops):
        longer = []
        for nodes, gain in frontier:
            head = nodes[0]
            came_from = nodes[1] if len(nodes) > 1 else -1
            for edge in order[offsets[head] : offsets[head + 1]]:
                source = int(graph.sources[edge])
                step = gain * float(graph.weights[edge]) * decay
                if source == came_from or step == 0:
                    continue
                longer.append(((source, *nodes), step))
                if initial[source] > 0:
                    found.append(TurnPath((source, *nodes), float(initial[source]) * step))
        frontier = longer
    found.sort(key=lambda path: (-path.contribution, len(path.nodes), path.nodes))
    return found[:limit]


def _check(graph: TurnGraph, initial: _Values, *, hops: int, decay: float) -> None:
    if initial.shape != (graph.n_nodes,):
        raise InvalidInput(f"Initial activation must have {graph.n_nodes} values, got {initial.shape}.")
    if not (np.isfinite(initial).all() and (initial >= 0).all()):
        raise InvalidInput("Initial activation must be finite and not negative.")
    if not 0 <= hops <= MAX_HOPS:
        raise InvalidInput(f"hops must lie in [0, {MAX_HOPS}], got {hops}.")
    if not 0 <= decay <= 1:
        raise InvalidInput(f"decay must lie in [0, 1], got {decay}.")
