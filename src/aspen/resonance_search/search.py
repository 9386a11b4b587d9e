"""Resonance search: a prompt's early activations and words, held against every memory of a store."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from aspen.activation_db import Calibration, KeyIndex, KeyRecipe, StoreFit
from aspen.errors import AspenError, InvalidInput, ModelError, StoreBusy, StoreNotWritable
from aspen.repository import Changes, KeyStamp, Repository, stamp_mismatch
from aspen.resonance_search.arms import ActivationArm, Arm, KeywordArm, Query, Unavailable
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.ranking import Ranked, Ranking, RankingSettings
from aspen.resonance_search.snapshot import Candidates, Snapshot
from aspen.types import ArmReport, FloatArray, Seqs


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked candidates, best first. `seqs` [n] of all candidates, by row; `familiarity` by row of the ranked."""

    ranked: tuple[Ranked, ...]
    seqs: Seqs
    familiarity: Mapping[int, float]
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
        self._settings = settings or RankingSettings()
        self._keyword = KeywordArm(repository)
        self._extra = {arm.name: arm for arm in extra_arms}
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._stored_stamp: KeyStamp | None = None
        self._unfitted: StoreFit | None = None
        self._fit: StoreFit | None = None
        self._index: KeyIndex | None = None

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names that `search` takes in `arms`."""
        return (ActivationArm.name, KeywordArm.name, *self._extra)

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
            scores, reports = _run(chosen, query, candidates)
            ranking = Ranking(candidates, scores, spread=spread, settings=self._settings)
            allowed = ~np.isin(candidates.seqs, list(exclude))
            if provenances is not None:
                allowed &= np.isin(candidates.provenances, list(provenances))
            activation = chosen.get(ActivationArm.name)
            # Where no arm ran, nothing was found: any order would be made up.
            ranked = ranking.top(limit, allowed=allowed) if scores else []
            familiarity = {}
            if isinstance(activation, ActivationArm):
                familiarity = {
                    hit.row: activation.familiarity(query, candidates, row=hit.row) for hit in ranked
                }
            return SearchResult(
                ranked=tuple(ranked),
                seqs=candidates.seqs,
                familiarity=familiarity,
                arms=tuple(reports),
            )

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
            obstacle = self._obstacle() or ModelError("The store was re-keyed just now.", hint="Ask again.")
            if names and ActivationArm.name in names:
                raise obstacle
            activation = Unavailable(str(obstacle))
        every = {ActivationArm.name: activation, KeywordArm.name: self._keyword, **self._extra}
        return {name: arm for name, arm in every.items() if names is None or name in names}

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
        if revision == self._snapshot.revision and self._index is not None:
            return
        if revision < self._snapshot.revision:  # the store was put back from a backup
            self._snapshot, self._index = Snapshot(), None
        changes = self._changes()
        self._snapshot.apply(changes)
        if self._keys is None or self._obstacle():
            return
        if self._index is None or self._fit is None:
            self._fit = self._stored_fit(self._keys)
            self._index = KeyIndex(recipe=self._keys.recipe, space=self._fit.space)
        self._index.append(changes.memories.keys)
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
        stored = StoreFit.from_bytes(body) if body is not None else None
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
                self._repository.save_statistics(key_space_name(keys.stamp), fit.to_bytes())
        self._snapshot = Snapshot()
        self._snapshot.apply(changes)
        self._fit, self._index = fit, KeyIndex(recipe=keys.recipe, space=fit.space)
        self._index.append(memories.keys)


def key_space_name(stamp: KeyStamp) -> str:
    """Under this name a store keeps the whitening fitted on its keys of `stamp`."""
    return f"key_space:{stamp.model_id}:{stamp.key_version}"


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
        seconds = time.perf_counter() - started
        if isinstance(outcome, Unavailable):
            reports.append(ArmReport(name, ran=False, reason=outcome.reason, seconds=seconds))
        else:
            scores[name] = weight * zscore(outcome)
            reports.append(ArmReport(name, ran=True, reason="", seconds=seconds))
    return scores, reports
