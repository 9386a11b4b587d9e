"""Resonance search: a prompt's early activations and words, held against every memory of a store."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import Calibration, KeyIndex, KeyRecipe, StoreFit
from aspen.errors import AspenError, InvalidInput, ModelError, StoreBusy, StoreNotWritable
from aspen.repository import Changes, KeyStamp, Repository, stamp_mismatch
from aspen.resonance_search.arms import (
    ActivationArm,
    Arm,
    HoldsMemories,
    KeywordArm,
    Query,
    Unavailable,
)
from aspen.resonance_search.entities import NameActivation, spread_over_names
from aspen.resonance_search.familiarity import LOOKED_AT, StoredKeys, familiarity, word_shares
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.heads import HeadMatchArm, shortlist_length
from aspen.resonance_search.keyword import PromptWords, forget_stems
from aspen.resonance_search.priors import TRAIT_WEIGHTS, DatePrior, Prior, SubjectPrior, TraitPrior
from aspen.resonance_search.ranking import Ranked, Ranking, RankingSettings, total
from aspen.resonance_search.snapshot import Candidates, Snapshot
from aspen.types import ArmReport, FloatArray, Seqs

_MOST_ALONE = 5000
"""Candidates that the heads arm looks at where it runs alone, the oldest first."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked candidates, best first. `seqs` [n] of all candidates, by row; `familiarity` by row of the ranked.

    overall_familiarity: how likely it is that the candidates can answer the prompt, in [0, 1].
    """

    ranked: tuple[Ranked, ...]
    seqs: Seqs
    familiarity: Mapping[int, float]
    overall_familiarity: float
    arms: tuple[ArmReport, ...]


@dataclass(frozen=True, slots=True)
class ModelKeys:
    """Whose keys the prompts have, and what is known of that model."""

    stamp: KeyStamp
    recipe: KeyRecipe
    calibration: Calibration


class ResonanceSearch:
    """Searches one store. Holds its keys and edges in memory and follows its changes, also those of others.

    Safe to use from several threads: they take turns, some milliseconds each.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        keys: ModelKeys | None,
        settings: RankingSettings | None = None,
        extra_arms: Collection[Arm] = (),
    ) -> None:
        """`keys` None searches without a model, by words; `extra_arms` run beside the built-in ones."""
        self._repository = repository
        self._keys = keys
        self.settings = settings or RankingSettings()  # the next search ranks by them
        self._keyword = KeywordArm()
        self._priors: tuple[Prior, ...] = (
            SubjectPrior(),
            DatePrior(),
            TraitPrior(weights=TRAIT_WEIGHTS),
        )
        self._extra = {arm.name: arm for arm in extra_arms}
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._stored_stamp: KeyStamp | None = None
        self._unfitted: StoreFit | None = None
        self._fit: StoreFit | None = None
        self._index: KeyIndex | None = None
        self._stored_keys: StoredKeys | None = None

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names that `search` takes in `arms`."""
        priors = (prior.name for prior in self._priors)
        return (ActivationArm.name, KeywordArm.name, HeadMatchArm.name, *self._extra, *priors)

    def search(
        self,
        query: Query,
        *,
        limit: int,
        conversation: str | None = None,
        spread: bool = True,
        arms: Collection[str] | None = None,
        exclude: Collection[int] = (),
        provenances: Collection[str] | None = None,
    ) -> SearchResult:
        """The `limit` best memories for `query`.

        `conversation` limits the candidates; memories with a seq in `exclude` or of another provenance than
        `provenances` still pass activation on, but are not returned. `arms` None means all that can run; an arm
        that was asked for by name and cannot run at all raises (InvalidInput, ModelMismatch).
        """
        with self._lock:
            self._refresh()
            candidates = self._snapshot.candidates(conversation)
            chosen = self._choose(arms)
            words = PromptWords.look_up(query.text, store=self._repository, seqs=candidates.seqs)
            query = replace(query, words=words)
            scores, reports = _run(chosen, query, candidates)
            reports += self._match_heads(arms, query, candidates, scores=scores)
            lifts, more = _lift(self._chosen_priors(arms), query, candidates)
            ranking = Ranking(
                candidates,
                scores,
                lifts,
                over_names=(
                    self._over_names(query, candidates, {**scores, **lifts})
                    if spread and self.settings.names and scores
                    else None
                ),
                spread=spread,
                settings=self.settings,
            )
            allowed = ~np.isin(candidates.seqs, list(exclude))
            if provenances is not None:
                allowed &= np.isin(candidates.provenances, list(provenances))
            # Where no arm ran, nothing was found: any order would be made up.
            ranked = ranking.top(limit, allowed=allowed) if scores else []
            shares, cosines = self._absolute(
                chosen, query, candidates, allowed=allowed, hits=[hit.row for hit in ranked]
            )
            known = familiarity(shares, cosines)
            best = familiarity(_greatest(shares, allowed), _greatest(cosines, allowed))
            return SearchResult(
                ranked=tuple(ranked),
                seqs=candidates.seqs,
                familiarity={hit.row: float(known[hit.row]) for hit in ranked if len(known)},
                overall_familiarity=float(best[0]) if len(best) else 0.0,
                arms=(*reports, *more),
            )

    def forget(self) -> None:
        """Let go of all that is held of the store, and of the words it was made of; the next search reads it anew.

        To be called after a memory was forgotten: otherwise it stays in this process until the next search.
        """
        with self._lock:
            self._snapshot, self._index, self._fit = Snapshot(), None, None
            self._stored_keys = None
            for arm in self._extra.values():
                if isinstance(arm, HoldsMemories):
                    arm.forget()
        forget_stems()

    def _absolute(
        self,
        chosen: Mapping[str, Arm | Unavailable],
        query: Query,
        candidates: Candidates,
        *,
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
            shares = word_shares(query.text, query.words, lengths=candidates.term_counts)
        activation = chosen.get(ActivationArm.name)
        near = activation.cosines(query, candidates) if isinstance(activation, ActivationArm) else None
        if near is not None and query.pooled is not None and self._stored_keys is not None:
            first = max(len(near) - LOOKED_AT, 0)
            nearest = np.argpartition(np.where(allowed, near, -np.inf), first)[first:]
            rows = np.union1d(nearest, np.array(hits, dtype=np.int64))
            cosines = np.full(len(near), -1, dtype=np.float32)
            cosines[rows] = self._stored_keys.cosines(
                query.pooled, rows=rows if candidates.rows is None else candidates.rows[rows]
            )
        return shares, cosines

    def _over_names(
        self, query: Query, candidates: Candidates, parts: Mapping[str, FloatArray]
    ) -> NameActivation:
        direct = total(parts.values(), len(candidates.seqs))
        return spread_over_names(self._repository, query=query, candidates=candidates, direct=direct)

    def _chosen_priors(self, names: Collection[str] | None) -> list[Prior]:
        return [prior for prior in self._priors if names is None or prior.name in names]

    def _choose(self, names: Collection[str] | None) -> dict[str, Arm | Unavailable]:
        unknown = sorted(set(names or ()) - set(self.arm_names))
        if unknown:
            raise InvalidInput(
                f"There is no arm {unknown[0]!r}.", hint=f"The arms are {', '.join(self.arm_names)}."
            )
        if names is not None and not names:
            raise InvalidInput(
                "At least one arm is needed.", hint=f"Choose from {', '.join(self.arm_names)}."
            )
        activation: Arm | Unavailable
        if self._index is not None:
            activation = ActivationArm(self._index)
        else:
            obstacle = self._no_index()
            if names and {ActivationArm.name, HeadMatchArm.name} & set(names):
                raise obstacle
            activation = Unavailable(str(obstacle))
        every = {ActivationArm.name: activation, KeywordArm.name: self._keyword, **self._extra}
        return {name: arm for name, arm in every.items() if names is None or name in names}

    def _match_heads(
        self,
        names: Collection[str] | None,
        query: Query,
        candidates: Candidates,
        *,
        scores: dict[str, FloatArray],
    ) -> list[ArmReport]:
        """Add the scores of the heads arm, which looks at what the other arms found best; returns its report."""
        if names is not None and HeadMatchArm.name not in names:
            return []
        started = time.perf_counter()
        outcome: FloatArray | Unavailable
        if self._keys is None or self._index is None:
            outcome = Unavailable(str(self._no_index()))
        else:
            calibration = self._keys.calibration
            arm = HeadMatchArm(self._repository, heads=calibration.heads, refusal=calibration.no_heads)
            best = np.argsort(-total(scores.values(), len(candidates.seqs)), kind="stable")
            shortlist = best[: shortlist_length(len(best)) if scores else _MOST_ALONE]
            outcome = arm.score(query, candidates, shortlist=shortlist)
            if not isinstance(outcome, Unavailable):
                scores[arm.name] = arm.weight * zscore(outcome)
        return [_report(HeadMatchArm.name, outcome, started=started)]

    def _no_index(self) -> AspenError:
        """Why there is no index of the store's keys."""
        return self._obstacle() or ModelError("The store was re-keyed just now.", hint="Ask again.")

    def _obstacle(self) -> AspenError | None:
        """Why the store's keys cannot be searched; None where they can."""
        if self._keys is None:
            return ModelError("No model is loaded.", hint="Ask without naming the arms to run.")
        stored, current = self._stored_stamp, self._keys.stamp
        if stored is None or stored.identity == current.identity:
            return None
        return stamp_mismatch(stored, current, location=self._repository.location)

    def _refresh(self) -> None:
        """Bring the snapshot and the index to the store's revision."""
        revision = self._repository.revision()
        if revision == self._snapshot.revision and (self._index is not None or self._obstacle() is not None):
            return
        if revision < self._snapshot.revision:  # the store was put back from a backup
            self._snapshot, self._index = Snapshot(), None
        changes = self._changes()
        self._snapshot.apply(changes)
        if self._keys is None or self._obstacle():
            return
        if self._index is None or self._fit is None or self._stored_keys is None:
            self._fit = self._stored_fit(self._keys)
            self._index = KeyIndex(code=self._keys.calibration.key_code, space=self._fit.space)
            self._stored_keys = _stored_keys(self._keys)
        self._index.append(changes.memories.keys)
        self._stored_keys.append(changes.memories.keys)
        if self._fit.is_due(len(self._snapshot)):
            self._refit(self._keys)

    def _changes(self) -> Changes:
        """What happened since the snapshot, all of it under one stamp; `_stored_stamp` is that stamp.

        Where a memory was forgotten or keys were made anew, everything is read again, as by one who opens the
        store now: nothing of what is gone may stay in what was fitted on it.
        """
        while True:
            stored = self._repository.stamp()
            if stored != self._stored_stamp:
                self._snapshot, self._index, self._stored_stamp = Snapshot(), None, stored
            changes = self._repository.changes(self._snapshot.revision)
            if not self._snapshot.can_apply(changes):
                self._snapshot, self._index = Snapshot(), None
            elif self._repository.stamp() == stored:
                return changes

    def _stored_fit(self, keys: ModelKeys) -> StoreFit:
        body = self._repository.statistics(key_space_name(keys.stamp))
        stored = StoreFit.from_bytes(body, recipe=keys.recipe) if body is not None else None
        if stored is not None:
            return stored
        if self._unfitted is None:  # made once: it takes the eigenvectors of every layer
            self._unfitted = StoreFit.start(calibration=keys.calibration, recipe=keys.recipe)
        return self._unfitted

    def _refit(self, keys: ModelKeys) -> None:
        """Fit the whitening on all keys, keep it with the store, and make the index anew."""
        changes = self._repository.changes(0)
        if self._repository.stamp() != self._stored_stamp:
            return  # re-keyed meanwhile; the next search starts over
        fit, memories = self._stored_fit(keys), changes.memories
        if fit.is_due(len(memories.seqs)):
            fit = fit.updated(memories.seqs, memories.keys, calibration=keys.calibration, recipe=keys.recipe)
            # A store that is read-only, or busy just now, is searched with a fit of this process's own.
            with contextlib.suppress(StoreNotWritable, StoreBusy):
                self._repository.save_statistics(
                    key_space_name(keys.stamp), fit.to_bytes(), as_of=changes.revision
                )
        self._snapshot = Snapshot()
        self._snapshot.apply(changes)
        self._fit, self._index = fit, KeyIndex(code=keys.calibration.key_code, space=fit.space)
        self._index.append(memories.keys)
        self._stored_keys = _stored_keys(keys)
        self._stored_keys.append(memories.keys)


def _lift(
    priors: Sequence[Prior], query: Query, candidates: Candidates
) -> tuple[dict[str, FloatArray], list[ArmReport]]:
    """Lifts of the priors that have something to say, and a report of those: most prompts name nobody."""
    lifts: dict[str, FloatArray] = {}
    reports = []
    for prior in priors:
        started = time.perf_counter()
        outcome = prior.lift(query, candidates)
        if not isinstance(outcome, Unavailable):
            lifts[prior.name] = outcome
            reports.append(_report(prior.name, outcome, started=started))
    return lifts, reports


def _report(name: str, outcome: FloatArray | Unavailable, *, started: float) -> ArmReport:
    reason = outcome.reason if isinstance(outcome, Unavailable) else ""
    return ArmReport(name, ran=not reason, reason=reason, seconds=time.perf_counter() - started)


def key_space_name(stamp: KeyStamp) -> str:
    """Under this name a store keeps the whitening fitted on its keys of `stamp`."""
    return f"key_space:{stamp.model_id}:{stamp.key_version}"


def _stored_keys(keys: ModelKeys) -> StoredKeys:
    return StoredKeys(keys.calibration.key_code, prompt_offset=keys.calibration.prompt_offset)


def _greatest(column: FloatArray | None, allowed: NDArray[np.bool_]) -> FloatArray | None:
    """The greatest value [1] where `allowed` [n]; None where there is none."""
    return None if column is None or not allowed.any() else column[allowed].max(keepdims=True)


def _run(
    chosen: Mapping[str, Arm | Unavailable], query: Query, candidates: Candidates
) -> tuple[dict[str, FloatArray], list[ArmReport]]:
    """Weighted z-scores of the arms that ran, and a report of every arm."""
    scores: dict[str, FloatArray] = {}
    reports = []
    for name, arm in chosen.items():
        started = time.perf_counter()
        outcome, weight = (
            (arm, 0.0) if isinstance(arm, Unavailable) else (arm.score(query, candidates), arm.weight)
        )
        if not isinstance(outcome, Unavailable):
            scores[name] = weight * zscore(outcome)
        reports.append(_report(name, outcome, started=started))
    return scores, reports
