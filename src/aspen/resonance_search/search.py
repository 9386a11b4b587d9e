"""Resonance search: a prompt's early activations and words, held against every memory of a store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aspen.errors import AspenError, InvalidInput, ModelError, ModelMismatch
from aspen.memory_graph import (
    Activated,
    SpreadingSettings,
    current_priority,
    preset_settings,
    spread_activation,
    spread_in,
)
from aspen.repository import KeyStamp, Repository, SpreadingStore, stamp_mismatch
from aspen.resonance_search.arms import (
    ActivationArm,
    Arm,
    HoldsMemories,
    KeywordArm,
    Query,
    Unavailable,
)
from aspen.resonance_search.entities import spread_over_names
from aspen.resonance_search.explaining import ArmScores, Explanation, explained
from aspen.resonance_search.familiarity import LOOKED_AT, familiarity, word_shares
from aspen.resonance_search.filters import Filters
from aspen.resonance_search.heads import HeadMatchArm, shortlist_length
from aspen.resonance_search.held import FollowedStore, Held, HeldKeys, ModelKeys
from aspen.resonance_search.keyword import PromptWords, forget_stems
from aspen.resonance_search.priors import TRAIT_WEIGHTS, DatePrior, Prior, SubjectPrior, TraitPrior
from aspen.resonance_search.ranking import Ranked, Ranking, RankingSettings, direct_parts, total
from aspen.resonance_search.relations import Spread, spread_over_relations
from aspen.resonance_search.snapshot import Candidates
from aspen.resonance_search.vector import VectorArm
from aspen.types import ArmReport, FloatArray, Seqs

NEED_A_PASS = frozenset({ActivationArm.name, HeadMatchArm.name})
"""Names of the arms that go by a forward pass of the prompt."""
NEED_A_MODEL = NEED_A_PASS | {VectorArm.name}
"""Names of the arms that only the search of a loaded model has."""
_MOST_ALONE = 5000
"""Candidates that the heads arm looks at where it runs alone, the oldest first."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked candidates, best first. `seqs` [n] of all candidates, by row; `familiarity` by row of the ranked.

    searched: how many of the candidates pass the filters, and could be ranked;
    overall_familiarity: how likely it is that the candidates can answer the prompt, in [0, 1]; priority: float64 [n] in
    [0, 1]; truncated: whether a bound kept activation from all it could have reached over relations; explanation: how
    it came about, where that was asked for.
    """

    ranked: tuple[Ranked, ...]
    seqs: Seqs
    searched: int
    familiarity: Mapping[int, float]
    overall_familiarity: float
    arms: tuple[ArmReport, ...]
    priority: NDArray[np.float64]
    truncated: bool
    explanation: Explanation | None = None


class ResonanceSearch:
    """Searches one store. Holds its keys and edges in memory and follows its changes, also those of others.

    Safe to use from several threads: they take turns, some milliseconds each.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        keys: ModelKeys | None,
        extra_arms: Collection[Arm] = (),
        mismatch: Callable[[KeyStamp], ModelMismatch] | None = None,
    ) -> None:
        """`keys` None searches without a model, by words; `extra_arms` run beside the built-in ones.

        `mismatch` says of a stamp that is another model's what there is to say; the two stamps alone, where None.
        """
        self._repository = repository
        self._model = keys
        self._mismatch = mismatch
        self._keyword = KeywordArm()
        self._priors: tuple[Prior, ...] = (
            SubjectPrior(),
            DatePrior(),
            TraitPrior(weights=TRAIT_WEIGHTS),
        )
        self._extra = {arm.name: arm for arm in extra_arms}
        self._lock = threading.Lock()
        self._store = FollowedStore(repository, keys=keys)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names that `search` takes in `arms`: those of the arms, then those of the priors."""
        return (ActivationArm.name, KeywordArm.name, HeadMatchArm.name, *self._extra, *self._prior_names)

    @property
    def _prior_names(self) -> tuple[str, ...]:
        return tuple(prior.name for prior in self._priors)

    def search(
        self,
        query: Query,
        *,
        limit: int,
        conversation: str | None = None,
        spread: bool = True,
        arms: Collection[str] | None = None,
        filters: Filters | None = None,
        spreading: SpreadingSettings | None = None,
        settings: RankingSettings | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """The `limit` best memories for `query`.

        `conversation` limits the candidates; of these, memories that `filters` leaves out still pass activation on, but
        are not returned. `arms` None means all that can run; an arm that was asked for by name and cannot run at all
        raises (InvalidInput, ModelMismatch). `spreading` says how activation spreads over relations, `settings` other
        than the default are for ablations. `explain` tells how the ranking came about as well; activation then spreads
        here even where the store could do it, which gives the same.
        """
        settings = settings or RankingSettings()
        self._check(arms)
        with self._lock:
            held = self._store.refresh()
            candidates = held.snapshot.candidates(conversation)
            chosen = self._choose(arms, held)
            words = PromptWords.look_up(query.text, store=self._repository, seqs=candidates.seqs)
            query = replace(query, words=words)
            ran, reports = _run(chosen, query, candidates)
            scores = {name: one.weight * one.z for name, one in ran.items()}
            heads, report = self._match_heads(arms, query, candidates, held=held, scores=scores)
            reports += report
            if heads is not None:
                ran[HeadMatchArm.name] = heads
                scores[HeadMatchArm.name] = heads.weight * heads.z
            lifts, more = self._lift(arms, query, candidates)
            priority = current_priority(candidates.priority, now=query.asked_at)
            parts = direct_parts(scores, lifts, priority=priority, settings=settings)
            direct = total(parts.values(), len(candidates.seqs))
            over_names, over_relations = None, None
            if spread and scores:
                if settings.names:
                    over_names = spread_over_names(
                        self._repository, query=query, candidates=candidates, direct=direct
                    )
                over_relations = spread_over_relations(
                    self._spreader(held, spreading or preset_settings(), here=explain),
                    candidates=candidates,
                    direct=direct,
                )
            ranking = Ranking(
                candidates,
                scores,
                lifts,
                over_names=over_names,
                over_relations=over_relations,
                priority=priority,
                spread=spread,
                settings=settings,
            )
            allowed = (filters or Filters()).allowed(candidates)
            # Where no arm ran, nothing was found: any order would be made up.
            ranked = ranking.top(limit, allowed=allowed) if scores else []
            shares, cosines = _absolute(
                chosen, query, candidates, keys=held.keys, allowed=allowed, hits=[hit.row for hit in ranked]
            )
            known = familiarity(shares, cosines)
            best = familiarity(_greatest(shares, allowed), _greatest(cosines, allowed))
            return SearchResult(
                ranked=tuple(ranked),
                seqs=candidates.seqs,
                searched=int(allowed.sum()),
                familiarity={hit.row: float(known[hit.row]) for hit in ranked if len(known)},
                overall_familiarity=float(best[0]) if len(best) else 0.0,
                arms=(*reports, *more),
                priority=priority,
                truncated=over_relations is not None and over_relations.truncated,
                explanation=explained(
                    ranking,
                    candidates=candidates,
                    arms=ran,
                    over_names=over_names,
                    over_relations=over_relations,
                    allowed=allowed,
                    hits=[hit.row for hit in ranked],
                    limit=limit,
                )
                if explain
                else None,
            )

    def spread(
        self, initial: Mapping[int, float], *, settings: SpreadingSettings, here: bool = False
    ) -> Activated:
        """Let activation spread over the relations of the store, without a prompt: see `spread_activation`.

        `here` rather than inside a store that could do it, which does not tell the edges.
        """
        with self._lock:
            return self._spreader(self._store.refresh(), settings, here=here)(initial)

    def _spreader(self, held: Held, settings: SpreadingSettings, *, here: bool = False) -> Spread:
        """Inside the store, where it can do that and not `here`; else over the graph that is held in memory."""
        if isinstance(self._repository, SpreadingStore) and not here:
            return lambda initial: spread_in(self._repository, initial, settings=settings)
        return lambda initial: spread_activation(held.snapshot.relations, initial, settings=settings)

    def forget(self) -> None:
        """Let go of all that is held of the store, and of the words it was made of; the next search reads it anew.

        To be called after a memory was forgotten: otherwise it stays in this process until the next search.
        """
        with self._lock:
            self._store.forget()
            for arm in self._extra.values():
                if isinstance(arm, HoldsMemories):
                    arm.forget()
        forget_stems()

    def _check(self, names: Collection[str] | None) -> None:
        """InvalidInput where `names` has one that there is not, or none of an arm."""
        if names is None:
            return
        unknown = sorted(set(names) - set(self.arm_names))
        if unknown:
            raise InvalidInput(
                f"There is no arm {unknown[0]!r}.", hint=f"The arms are {', '.join(self.arm_names)}."
            )
        if set(names) <= set(self._prior_names):
            arms = self.arm_names[: -len(self._priors)]
            raise InvalidInput(
                "At least one arm is needed.",
                hint=f"Choose from {', '.join(arms)}. {', '.join(self._prior_names)} are priors: they lift what "
                "arms find.",
            )

    def _choose(self, names: Collection[str] | None, held: Held) -> dict[str, Arm | Unavailable]:
        activation: Arm | Unavailable
        if held.keys is not None:
            activation = ActivationArm(held.keys.index)
        else:
            obstacle = self._obstacle(held)
            if names and not NEED_A_PASS.isdisjoint(names):
                raise obstacle
            activation = Unavailable(str(obstacle))
        every = {ActivationArm.name: activation, KeywordArm.name: self._keyword, **self._extra}
        return {name: arm for name, arm in every.items() if names is None or name in names}

    def _lift(
        self, names: Collection[str] | None, query: Query, candidates: Candidates
    ) -> tuple[dict[str, FloatArray], list[ArmReport]]:
        """Lifts of the priors that have something to say, and a report of those and of all asked for by name.

        The others go unreported: most prompts name nobody.
        """
        lifts: dict[str, FloatArray] = {}
        reports = []
        for prior in self._priors:
            if names is not None and prior.name not in names:
                continue
            started = time.perf_counter()
            outcome = prior.lift(query, candidates)
            if not isinstance(outcome, Unavailable):
                lifts[prior.name] = outcome
            if names is not None or not isinstance(outcome, Unavailable):
                reports.append(_report(prior.name, outcome, started=started))
        return lifts, reports

    def _match_heads(
        self,
        names: Collection[str] | None,
        query: Query,
        candidates: Candidates,
        *,
        held: Held,
        scores: Mapping[str, FloatArray],
    ) -> tuple[ArmScores | None, list[ArmReport]]:
        """What the heads arm says, which looks at what the other arms found best by `scores`; and its report."""
        if names is not None and HeadMatchArm.name not in names:
            return None, []
        started = time.perf_counter()
        outcome: FloatArray | Unavailable
        if held.keys is None:
            outcome = Unavailable(str(self._obstacle(held)))
        else:
            calibration = held.keys.model.calibration
            arm = HeadMatchArm(self._repository, heads=calibration.heads, refusal=calibration.no_heads)
            best = np.argsort(-total(scores.values(), len(candidates.seqs)), kind="stable")
            shortlist = best[: shortlist_length(len(best)) if scores else _MOST_ALONE]
            outcome = arm.score(query, candidates, shortlist=shortlist)
        report = _report(HeadMatchArm.name, outcome, started=started)
        if isinstance(outcome, Unavailable):
            return None, [report]
        return ArmScores(HeadMatchArm.unit, HeadMatchArm.weight, outcome), [report]

    def _obstacle(self, held: Held) -> AspenError:
        """Why the store's keys cannot be searched, where they cannot."""
        if self._model is None or held.stamp is None:
            return ModelError("No model is loaded.", hint="Ask without naming the arms to run.")
        if self._mismatch is not None:
            return self._mismatch(held.stamp)
        return stamp_mismatch(held.stamp, self._model.stamp, location=self._repository.location)


def _report(name: str, outcome: FloatArray | Unavailable, *, started: float) -> ArmReport:
    reason = outcome.reason if isinstance(outcome, Unavailable) else ""
    return ArmReport(name, ran=not reason, reason=reason, seconds=time.perf_counter() - started)


def _absolute(
    chosen: Mapping[str, Arm | Unavailable],
    query: Query,
    candidates: Candidates,
    *,
    keys: HeldKeys | None,
    allowed: NDArray[np.bool_],
    hits: Sequence[int],
) -> tuple[FloatArray | None, FloatArray | None]:
    """Of each candidate the share of the prompt's words and the cosine, [n] each, by the arms that run.

    The cosine is that of the `hits` and of those nearest to the prompt where `allowed` [n]; -1 for the others.
    """
    shares, cosines = None, None
    if len(candidates.seqs) == 0:
        return None, None
    if KeywordArm.name in chosen and query.words is not None and query.words.postings:
        shares = word_shares(query.words, lengths=candidates.term_counts)
    activation = chosen.get(ActivationArm.name)
    near = activation.cosines(query, candidates) if isinstance(activation, ActivationArm) else None
    if near is not None and query.pooled is not None and keys is not None:
        first = max(len(near) - LOOKED_AT, 0)
        nearest = np.argpartition(np.where(allowed, near, -np.inf), first)[first:]
        rows = np.union1d(nearest, np.array(hits, dtype=np.int64))
        cosines = np.full(len(near), -1, dtype=np.float32)
        cosines[rows] = keys.stored.cosines(
            query.pooled, rows=rows if candidates.rows is None else candidates.rows[rows]
        )
    return shares, cosines


def _greatest(column: FloatArray | None, allowed: NDArray[np.bool_]) -> FloatArray | None:
    """The greatest value [1] where `allowed` [n]; None where there is none."""
    return None if column is None or not allowed.any() else column[allowed].max(keepdims=True)


def _run(
    chosen: Mapping[str, Arm | Unavailable], query: Query, candidates: Candidates
) -> tuple[dict[str, ArmScores], list[ArmReport]]:
    """What the arms that ran say, and a report of every arm."""
    ran: dict[str, ArmScores] = {}
    reports = []
    for name, arm in chosen.items():
        started = time.perf_counter()
        outcome = arm if isinstance(arm, Unavailable) else arm.score(query, candidates)
        if not isinstance(arm, Unavailable) and not isinstance(outcome, Unavailable):
            ran[name] = ArmScores(arm.unit, arm.weight, outcome)
        reports.append(_report(name, outcome, started=started))
    return ran, reports
