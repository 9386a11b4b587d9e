"""How a ranking came about, for a person who looks at it: every column that the scores are sums of, and every hop.

Nothing here decides anything: it reads what a search has computed, and is made where it is asked for alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.resonance_search.entities import NameActivation
from aspen.resonance_search.frames import ToldFrame, TurnRounds, told_frames
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.ranking import Ranking
from aspen.resonance_search.relations import RelationActivation
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray, Seqs

LEAST_TOLD = 20
"""The best of each arm and of the fusion that are told of, whatever the limit of the recall."""


@dataclass(frozen=True, slots=True)
class ArmScores:
    """What an arm says of all candidates: `raw` [n] in its `unit`; `weight` is its share in the fusion."""

    unit: str
    weight: float
    raw: FloatArray

    @property
    def z(self) -> FloatArray:
        """The same in standard deviations from the mean of the candidates, float32 [n]."""
        return zscore(self.raw)


@dataclass(frozen=True, slots=True)
class ToldArm:
    """What an arm says of the k memories that are told of; `ranks` int64 [k] begin with 1."""

    scores: ArmScores
    raw: FloatArray
    z: FloatArray
    ranks: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Columns of k memories, the best before spreading first.

    rows, seqs: int64 [k]; arms: by name; before: parts of the score that count before anything spreads, by name [k],
    and after: those that count then; arrived: what came to each over turns, names and relations, [k]; takes_in: share
    of what turns bring that each takes in, [k]; frames: hop by hop, frame 0 what activation started from.
    """

    rows: NDArray[np.int64]
    seqs: Seqs
    arms: Mapping[str, ToldArm]
    before: Mapping[str, FloatArray]
    after: Mapping[str, FloatArray]
    arrived: Mapping[str, NDArray[np.float64]]
    takes_in: NDArray[np.float64]
    frames: tuple[ToldFrame, ...]


def explained(
    ranking: Ranking,
    *,
    candidates: Candidates,
    arms: Mapping[str, ArmScores],
    over_names: NameActivation | None,
    over_relations: RelationActivation | None,
    allowed: NDArray[np.bool_],
    hits: Sequence[int],
    limit: int,
) -> Explanation:
    """Tell of the `hits` [rows], and of the best of each arm and of the fusion where `allowed` [n]."""
    n = len(candidates.seqs)
    rows = _told(ranking, arms=arms, allowed=allowed, hits=hits, most=max(limit, LEAST_TOLD))
    names = over_names or NameActivation(np.zeros(n), {})
    relations = over_relations or RelationActivation(np.zeros(n))
    turns = TurnRounds.of(ranking, candidates)
    return Explanation(
        rows=rows,
        seqs=candidates.seqs[rows],
        arms={name: _told_arm(scores, rows, allowed) for name, scores in arms.items()},
        before={name: column[rows] for name, column in ranking.before.items()},
        after={name: column[rows] for name, column in ranking.after.items()},
        arrived={
            "turns": turns.arrived()[rows],
            "names": names.arrived[rows],
            "relations": relations.arrived[rows],
        },
        takes_in=ranking.takes_in[rows],
        frames=told_frames(ranking, rows, candidates, turns=turns, names=names, relations=relations),
    )


def _told(
    ranking: Ranking,
    *,
    arms: Mapping[str, ArmScores],
    allowed: NDArray[np.bool_],
    hits: Sequence[int],
    most: int,
) -> NDArray[np.int64]:
    """Rows that are told of, the best before spreading first."""
    may = np.flatnonzero(allowed)
    columns = [one.raw.astype(np.float64) for one in arms.values()]
    if arms:  # else nothing was found
        columns.append(ranking.direct)
    best = [may[np.argsort(-column[may], kind="stable")[:most]] for column in columns]
    rows = np.unique(np.concatenate([np.array(hits, dtype=np.int64), *best]))
    return rows[np.argsort(-ranking.direct[rows], kind="stable")]


def _told_arm(scores: ArmScores, rows: NDArray[np.int64], allowed: NDArray[np.bool_]) -> ToldArm:
    may = np.flatnonzero(allowed)
    ranks = np.zeros(len(allowed), dtype=np.int64)
    ranks[may[np.argsort(-scores.raw[may], kind="stable")]] = np.arange(1, len(may) + 1)
    return ToldArm(scores, scores.raw[rows], scores.z[rows], ranks[rows])
