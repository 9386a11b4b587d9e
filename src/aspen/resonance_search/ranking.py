"""From the scores of arms and priors to a ranking: fusion, contextual ranking, spreading over time and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph import TurnPath, spread_over_turns, strongest_turn_paths
from aspen.resonance_search.entities import NameActivation
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray

KEPT = 2
"""Direct hits that nothing found over names can push aside."""
_STEP = 1e-4  # by which a kept hit stands before the others


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """How much the surroundings of a memory count. Measured in docs/benchmarks/recall.md.

    hops, decay: how far activation spreads over turns of a conversation, and what is left after each hop.
    session_weight: weight of the best score in the session, z-scored over the candidates.
    receiver_tokens: a memory longer than this takes in proportionally less of what arrives, for long turns
    stand beside many relevant ones.
    names: whether activation spreads over names that memories share.
    """

    hops: int = 3
    decay: float = 0.5
    session_weight: float = 0.5
    receiver_tokens: int = 120
    names: bool = True


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place: `row` among the candidates, parts of its score by name, paths in rows."""

    row: int
    score: float
    parts: Mapping[str, float]
    paths: tuple[TurnPath, ...]


class Ranking:
    """Scores of all candidates and how they came about.

    Of what neighbours in time bring and what names bring, the greater counts. The best KEPT of the direct hits stay
    before all that came over names: a name leads to the next step of an answer, seldom past its first.
    """

    def __init__(
        self,
        candidates: Candidates,
        arms: Mapping[str, FloatArray],
        priors: Mapping[str, FloatArray] | None = None,
        *,
        over_names: NameActivation | None = None,
        spread: bool,
        settings: RankingSettings,
    ) -> None:
        """`arms` are weighted z-scores and `priors` lifts, [n] each; `over_names` as found by the direct scores."""
        n = len(candidates.seqs)
        self._candidates = candidates
        self._settings = settings
        self._parts = dict(arms) | dict(priors or {})
        self._direct = total(self._parts.values(), n)
        fused = total(arms.values(), n)
        # Only what stands out is active: half of all candidates lie below the mean.
        self._initial = np.maximum(fused, 0.0)
        self._receives = np.minimum(1.0, settings.receiver_tokens / np.maximum(candidates.token_counts, 1))
        self._origins: Mapping[int, tuple[int, str]] = {}
        self._spread = spread
        if spread:
            self._take_in(fused, over_names or NameActivation(np.zeros(n), {}))
        self._scores = total(self._parts.values(), n)

    def _take_in(self, fused: NDArray[np.float64], over_names: NameActivation) -> None:
        settings, n = self._settings, len(fused)
        arrived = spread_over_turns(
            self._candidates.time_graph, self._initial, hops=settings.hops, decay=settings.decay
        )
        arrived *= self._receives
        by_name = over_names.arrived > arrived
        self._origins = {row: origin for row, origin in over_names.origins.items() if by_name[row]}
        self._parts["neighbours"] = np.where(by_name, 0, arrived).astype(np.float32)
        best = _session_best(fused, self._candidates.sessions)
        self._parts["session"] = settings.session_weight * zscore(best)
        if self._origins:
            self._parts["names"] = np.where(by_name, over_names.arrived, 0).astype(np.float32)
            scores = total(self._parts.values(), n)
            self._parts["kept"] = _kept(scores, direct=self._direct, by_name=by_name)

    def top(self, limit: int, *, allowed: NDArray[np.bool_]) -> list[Ranked]:
        """The best `limit` of the candidates where `allowed` [n] is True; ties go to the older memory."""
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(-self._scores[rows], kind="stable")[:limit]]
        return [self._ranked(int(row)) for row in best]

    def _ranked(self, row: int) -> Ranked:
        parts = {name: float(values[row]) for name, values in self._parts.items()}
        return Ranked(row, float(self._scores[row]), parts, self._paths(row) if self._spread else ())

    def _paths(self, row: int) -> tuple[TurnPath, ...]:
        if row in self._origins:
            seed, name = self._origins[row]
            return (TurnPath((seed, row), float(self._parts["names"][row]), via=name),)
        receives = float(self._receives[row])
        paths = strongest_turn_paths(
            self._candidates.time_graph,
            self._initial,
            row,
            hops=self._settings.hops,
            decay=self._settings.decay,
        )
        return tuple(TurnPath(path.nodes, path.contribution * receives) for path in paths)


def total(columns: Iterable[FloatArray], n: int) -> NDArray[np.float64]:
    """Sum of columns of n rows; zeros where there are none."""
    summed = np.zeros(n)
    for column in columns:
        summed += column
    return summed


def _kept(
    scores: NDArray[np.float64], *, direct: NDArray[np.float64], by_name: NDArray[np.bool_]
) -> FloatArray:
    """What the best direct hits lack to stand, in their order, just before all others that came by name."""
    lift = np.zeros(len(scores))
    best = [row for row in np.argsort(-direct, kind="stable")[:KEPT] if direct[row] > 0]
    others = by_name.copy()
    others[best] = False
    if others.any():
        floor = float(scores[others].max())
        for row in best[::-1]:
            lift[row] = max(0.0, floor + _STEP - scores[row])
            floor = max(floor, scores[row] + lift[row])
    return lift.astype(np.float32)


def _session_best(fused: NDArray[np.float64], sessions: NDArray[np.int64]) -> FloatArray:
    """For each candidate, the best score in its session."""
    best = np.full(int(sessions.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, sessions, fused)
    return best[sessions].astype(np.float32)
