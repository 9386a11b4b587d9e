"""Spreading over relations: from what was found to what it supports, causes, is an example of.

What is found belongs to what one believes and who one is, often without a word in common: relations lead there. Turns
that follow each other are `ranking`'s affair, and what was corrected does not lead anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph import Activated, Activation, Hop, Path
from aspen.resonance_search.snapshot import Candidates

SEEDS = 10
"""Memories to start from: the best ones."""

Spread = Callable[[Mapping[int, float]], Activated]
"""Spreads activation by seq over the relations of a store."""


@dataclass(frozen=True, slots=True)
class RelationActivation:
    """What arrived over relations. arrived: float64 [n]; paths: from a row to the strongest ways there, by seq.

    hops: the edges that carried, where they are known, each `lowered` times what it says; a store that spreads by
    itself does not tell them.
    """

    arrived: NDArray[np.float64]
    paths: Callable[[int], tuple[Path, ...]] = field(default=lambda row: ())
    truncated: bool = False
    hops: tuple[Hop, ...] = ()
    lowered: float = 1.0


def spread_over_relations(
    spread: Spread, *, candidates: Candidates, direct: NDArray[np.float64]
) -> RelationActivation:
    """Activation of the SEEDS best candidates by `direct` [n], which start at their scores.

    All start lower, in the same ratios, where a memory would otherwise receive more than the best of them started
    with: in a dense graph many paths meet, and their sum says more of the graph than of the prompt.
    """
    seqs = candidates.seqs
    best = [int(row) for row in np.argsort(-direct, kind="stable")[:SEEDS] if direct[row] > 0]
    arrived = np.zeros(len(direct))
    if not best:
        return RelationActivation(arrived)
    activation = spread({int(seqs[row]): float(direct[row]) for row in best})
    reached = np.searchsorted(seqs, activation.nodes).clip(max=len(seqs) - 1)
    here = seqs[reached] == activation.nodes  # others are of another conversation: they only pass it on
    arrived[reached[here]] = (activation.values - activation.seeds)[here]
    most, start = float(arrived.max()), float(direct[best[0]])
    lowered = start / most if most > start else 1.0  # what arrives is linear in what the seeds start with

    def paths(row: int) -> tuple[Path, ...]:
        return tuple(
            replace(path, contribution=lowered * path.contribution)
            for path in activation.paths_to(int(seqs[row]))
        )

    return RelationActivation(
        lowered * arrived,
        paths,
        truncated=activation.truncated,
        hops=activation.hops if isinstance(activation, Activation) else (),
        lowered=lowered,
    )
