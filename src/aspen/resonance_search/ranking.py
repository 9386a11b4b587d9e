"""From the scores of the arms to a ranking: fusion, contextual ranking, spreading over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph import Path, spread_activation, strongest_paths
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """How much the surroundings of a memory count. Measured in docs/benchmarks/recall.md.

    hops, decay: how far activation spreads over turns of a conversation, and what is left after each hop.
    session_weight: weight of the best score in the session, z-scored over the candidates.
    receiver_tokens: a memory longer than this takes in proportionally less of what arrives, for long turns
    stand beside many relevant ones.
    """

    hops: int = 3
    decay: float = 0.5
    session_weight: float = 0.5
    receiver_tokens: int = 120


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place: `row` among the candidates, parts of its score by name, paths in rows."""

    row: int
    score: float
    parts: Mapping[str, float]
    paths: tuple[Path, ...]


class Ranking:
    """Scores of all candidates and how they came about."""

    def __init__(
        self,
        candidates: Candidates,
        arms: Mapping[str, FloatArray],
        *,
        spread: bool,
        settings: RankingSettings,
    ) -> None:
        """`arms` are weighted z-scores, [n] each."""
        n = len(candidates.seqs)
        self._candidates = candidates
        self._settings = settings
        self._parts = dict(arms)
        fused = _sum(arms.values(), n)
        # Only what stands out is active: half of all candidates lie below the mean.
        self._initial = np.maximum(fused, 0.0)
        self._receives = np.minimum(1.0, settings.receiver_tokens / np.maximum(candidates.token_counts, 1))
        if spread:
            arrived = spread_activation(
                candidates.time_graph, self._initial, hops=settings.hops, decay=settings.decay
            )
            self._parts["neighbours"] = (arrived * self._receives).astype(np.float32)
            self._parts["session"] = settings.session_weight * zscore(
                _session_best(fused, candidates.sessions)
            )
        self._spread = spread
        self._scores = _sum(self._parts.values(), n)

    def top(self, limit: int, *, allowed: NDArray[np.bool_]) -> list[Ranked]:
        """The best `limit` of the candidates where `allowed` [n] is True; ties go to the older memory."""
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(-self._scores[rows], kind="stable")[:limit]]
        return [self._ranked(int(row)) for row in best]

    def _ranked(self, row: int) -> Ranked:
        paths: tuple[Path, ...] = ()
        if self._spread:
            receives = float(self._receives[row])
            paths = tuple(
                Path(path.nodes, path.contribution * receives)
                for path in strongest_paths(
                    self._candidates.time_graph,
                    self._initial,
                    row,
                    hops=self._settings.hops,
                    decay=self._settings.decay,
                )
            )
        parts = {name: float(values[row]) for name, values in self._parts.items()}
        return Ranked(row, float(self._scores[row]), parts, paths)


def _sum(columns: Iterable[FloatArray], n: int) -> NDArray[np.float64]:
    """Sum of columns of n rows; zeros where there are none."""
    total = np.zeros(n)
    for column in columns:
        total += column
    return total


def _session_best(fused: NDArray[np.float64], sessions: NDArray[np.int64]) -> FloatArray:
    """For each candidate, the best score in its session."""
    best = np.full(int(sessions.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, sessions, fused)
    return best[sessions].astype(np.float32)
