"""From the scores of arms and priors to a ranking: fusion, priority, and spreading over time, names and relations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.memory_graph import spread_over_turns, strongest_turn_paths
from aspen.resonance_search.entities import NameActivation
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.relations import RelationActivation
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray

KEPT = 2
"""Direct hits that nothing found over names can push aside."""
_STEP = 1e-4  # by which a kept hit stands before the others
_SAME_PRIORITY = 1e-3  # what a day more or less makes of a new memory says nothing


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """How much the surroundings of a memory count. Measured in docs/benchmarks/recall.md.

    hops, decay: how far activation spreads over turns of a conversation, and what is left after each hop.
    session_weight: weight of the best score in the session, z-scored over the candidates.
    receiver_tokens: a memory longer than this takes in proportionally less of what arrives, for long turns
    stand beside many relevant ones.
    names: whether activation spreads over names that memories share.
    priority_weight: a memory that stands out gains or loses this share of its score for each point of priority above
    or below the mean of the candidates.
    """

    hops: int = 3
    decay: float = 0.5
    session_weight: float = 0.5
    receiver_tokens: int = 120
    names: bool = True
    priority_weight: float = 0.3


@dataclass(frozen=True, slots=True)
class Way:
    """A way activation took to a candidate, by seq: over turns, over a name, or over typed relations."""

    nodes: tuple[int, ...]
    contribution: float
    via: str = ""
    relations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place: `row` among the candidates, parts of its score by name, paths in seqs.

    direct: its score before anything spread; activation: what relations brought; corrected_by: the seq of what holds
    now, where the candidate was corrected.
    """

    row: int
    score: float
    parts: Mapping[str, float]
    paths: tuple[Way, ...]
    direct: float
    activation: float
    corrected_by: int | None


class Ranking:
    """Scores of all candidates and how they came about.

    Of what neighbours in time bring and what names bring, the greater counts. The best KEPT of the direct hits stay
    before all that came over names: a name leads to the next step of an answer, seldom past its first. What relations
    bring is added, and makes up for the little likeness of what they lead to; but half of the places stay with the best
    direct hits. What was corrected stands behind what holds now, which takes over its place.

    direct: the scores before anything spreads; initial: what each starts with over turns; takes_in: the share in (0, 1]
    that it takes of what turns bring; float64 [n] each. spreads: whether anything spreads at all.
    """

    def __init__(
        self,
        candidates: Candidates,
        arms: Mapping[str, FloatArray],
        priors: Mapping[str, FloatArray] | None = None,
        *,
        over_names: NameActivation | None = None,
        over_relations: RelationActivation | None = None,
        priority: NDArray[np.float64] | None = None,
        spread: bool,
        settings: RankingSettings,
    ) -> None:
        """`arms` are weighted z-scores and `priors` lifts, [n] each.

        `over_names` and `over_relations` are as found by the direct scores; `priority` [n] in [0, 1].
        """
        n = len(candidates.seqs)
        self._candidates = candidates
        self.settings = settings
        self.spreads = spread
        self._parts = direct_parts(arms, priors or {}, priority=priority, settings=settings)
        self._before = tuple(self._parts)
        self.direct = total(self._parts.values(), n)
        fused = total(arms.values(), n)
        # Only what stands out is active: half of all candidates lie below the mean.
        self.initial = np.maximum(fused, 0.0)
        self.takes_in = np.minimum(1.0, settings.receiver_tokens / np.maximum(candidates.token_counts, 1))
        self._origins: Mapping[int, tuple[int, str]] = {}
        self._over_relations = over_relations or RelationActivation(np.zeros(n))
        if spread:
            self._take_in(fused, over_names or NameActivation(np.zeros(n), {}))
            self._take_in_relations()
        self._scores = total(self._parts.values(), n)
        if candidates.corrected_by:
            self._parts["corrected"] = _corrections(self._scores, candidates)
            self._scores = total(self._parts.values(), n)

    @property
    def before(self) -> dict[str, FloatArray]:
        """The parts that count before anything spreads, by name, [n] each; `direct` is their sum."""
        return {name: self._parts[name] for name in self._before}

    @property
    def after(self) -> dict[str, FloatArray]:
        """What spreading and corrections add, by name, [n] each."""
        return {name: column for name, column in self._parts.items() if name not in self._before}

    def _take_in(self, fused: NDArray[np.float64], over_names: NameActivation) -> None:
        settings, n = self.settings, len(fused)
        arrived = spread_over_turns(
            self._candidates.time_graph, self.initial, hops=settings.hops, decay=settings.decay
        )
        arrived *= self.takes_in
        by_name = over_names.arrived > arrived
        self._origins = {row: origin for row, origin in over_names.origins.items() if by_name[row]}
        self._parts["neighbours"] = np.where(by_name, 0, arrived).astype(np.float32)
        best = _session_best(fused, self._candidates.sessions)
        self._parts["session"] = settings.session_weight * zscore(best)
        if self._origins:
            self._parts["names"] = np.where(by_name, over_names.arrived, 0).astype(np.float32)
            scores = total(self._parts.values(), n)
            self._parts["kept"] = _kept(scores, direct=self.direct, by_name=by_name)

    def _take_in_relations(self) -> None:
        arrived = self._over_relations.arrived
        if arrived.any():
            self._parts["relations"] = relations_part(arrived, direct=self.direct).astype(np.float32)

    def top(self, limit: int, *, allowed: NDArray[np.bool_]) -> list[Ranked]:
        """The best `limit` of the candidates where `allowed` [n] is True; ties go to the older memory.

        Where relations brought something, the best direct hits have at least half of the places, rounded up.
        """
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(-self._scores[rows], kind="stable")[:limit]]
        if "relations" in self._parts:
            best = self._with_direct_hits(best, rows)
        return [self._ranked(int(row)) for row in best]

    def _with_direct_hits(self, best: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """`best` with the best direct hits in place of the last of those that relations brought."""
        current = rows[~np.isin(rows, list(self._candidates.corrected_by))]
        ordered = current[np.argsort(-self.direct[current], kind="stable")]
        direct = ordered[: (len(best) + 1) // 2]
        direct = direct[self.direct[direct] > 0]
        missing = direct[~np.isin(direct, best)]
        is_direct = np.isin(best, direct)
        kept, others = best[is_direct], best[~is_direct]
        chosen = np.concatenate([kept, missing, others[: len(others) - len(missing)]])
        return chosen[np.argsort(-self._scores[chosen], kind="stable")]

    def _ranked(self, row: int) -> Ranked:
        return Ranked(
            row,
            float(self._scores[row]),
            {name: float(values[row]) for name, values in self._parts.items()},
            self._paths(row) if self.spreads else (),
            direct=float(self.direct[row]),
            activation=float(self._over_relations.arrived[row]),
            corrected_by=self._candidates.corrected_by.get(row),
        )

    def _paths(self, row: int) -> tuple[Way, ...]:
        ways = [
            *self._ways_over_turns_or_names(row),
            *(
                Way(path.nodes, path.contribution, relations=path.relations)
                for path in self._over_relations.paths(row)
            ),
        ]
        return tuple(sorted(ways, key=lambda way: -way.contribution))

    def _ways_over_turns_or_names(self, row: int) -> list[Way]:
        seqs = self._candidates.seqs
        if row in self._origins:
            seed, name = self._origins[row]
            return [Way((int(seqs[seed]), int(seqs[row])), float(self._parts["names"][row]), via=name)]
        receives = float(self.takes_in[row])
        paths = strongest_turn_paths(
            self._candidates.time_graph,
            self.initial,
            row,
            hops=self.settings.hops,
            decay=self.settings.decay,
        )
        return [
            Way(tuple(int(seqs[node]) for node in path.nodes), path.contribution * receives) for path in paths
        ]


def direct_parts(
    arms: Mapping[str, FloatArray],
    priors: Mapping[str, FloatArray],
    *,
    priority: NDArray[np.float64] | None,
    settings: RankingSettings,
) -> dict[str, FloatArray]:
    """All that counts before anything spreads, by name, [n] each.

    Priority is a gentle factor on what stands out, and nothing where all have the same.
    """
    parts = dict(arms) | dict(priors)
    if priority is not None and len(priority) and np.ptp(priority) > _SAME_PRIORITY:
        standing_out = np.maximum(total(parts.values(), len(priority)), 0.0)
        gain = settings.priority_weight * (priority - priority.mean())
        parts["priority"] = (standing_out * gain).astype(np.float32)
    return parts


def relations_part(arrived: NDArray[np.float64], *, direct: NDArray[np.float64]) -> NDArray[np.float64]:
    """What activation that arrived over relations adds to a score, [n].

    Itself, and what makes up for likeness below the mean, but no more than arrived.
    """
    made_up: NDArray[np.float64] = np.minimum(arrived, np.maximum(-direct, 0.0))
    return arrived + made_up


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


def _corrections(scores: NDArray[np.float64], candidates: Candidates) -> FloatArray:
    """What puts each corrected memory just behind the one that holds now, and that in the better place of the two.

    Where that is no candidate, the corrected one goes behind all others.
    """
    moved = scores.copy()
    rows = {seq: row for row, seq in enumerate(candidates.seqs.tolist())}
    corrected_by = {old: rows[new] for old, new in candidates.corrected_by.items() if new in rows}
    for old in candidates.corrected_by.keys() - corrected_by.keys():
        moved[old] = scores.min() - _STEP
    for old, new in corrected_by.items():
        moved[new] = max(moved[new], scores[old])
    for old, new in corrected_by.items():
        moved[old] = min(scores[old], moved[new] - _STEP)
    return (moved - scores).astype(np.float32)


def _session_best(fused: NDArray[np.float64], sessions: NDArray[np.int64]) -> FloatArray:
    """For each candidate, the best score in its session."""
    best = np.full(int(sessions.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, sessions, fused)
    return best[sessions].astype(np.float32)
