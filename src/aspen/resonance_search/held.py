"""What a search holds of its store in memory, from one search to the next."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Self

from aspen.activation_db import Calibration, KeyIndex, KeyRecipe, StoreFit
from aspen.errors import StoreBusy, StoreNotWritable
from aspen.repository import Changes, KeyStamp, Repository
from aspen.resonance_search.familiarity import StoredKeys
from aspen.resonance_search.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ModelKeys:
    """Whose keys the prompts have, and what is known of that model."""

    stamp: KeyStamp
    recipe: KeyRecipe
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys of every memory, one row each: whitened by `fit` in `index`, and as they are `stored`."""

    model: ModelKeys
    fit: StoreFit
    index: KeyIndex
    stored: StoredKeys

    @classmethod
    def start(cls, model: ModelKeys, *, fit: StoreFit) -> Self:
        """Of no memory yet."""
        code, offset = model.calibration.key_code, model.calibration.prompt_offset
        return cls(model, fit, KeyIndex(code=code, space=fit.space), StoredKeys(code, prompt_offset=offset))


@dataclass(frozen=True, slots=True)
class Held:
    """A store at one revision, under one stamp. keys: None where prompts have no keys to compare with the store's."""

    stamp: KeyStamp | None
    snapshot: Snapshot
    keys: HeldKeys | None

    def can_apply(self, changes: Changes) -> bool:
        """Whether `changes` take nothing away, and make no key anew."""
        if not self.snapshot.can_apply(changes):
            return False
        rows, known = self.snapshot.rows_of(changes.memories.seqs)
        return self.keys is None or self.keys.stored.has(changes.memories.keys[known], rows=rows[known])

    def apply(self, changes: Changes) -> None:
        """Bring all of it to `changes.revision`; only where `can_apply`.

        Interrupted half-way, its parts no longer fit each other.
        """
        _, known = self.snapshot.rows_of(changes.memories.seqs)
        self.snapshot.apply(changes)
        if self.keys is not None:
            added = changes.memories.keys[~known]
            self.keys.index.append(added)
            self.keys.stored.append(added)


class FollowedStore:
    """What is held of a store, which follows its changes, also those of others. For one thread at a time."""

    def __init__(self, repository: Repository, *, keys: ModelKeys | None) -> None:
        self._repository = repository
        self._model = keys
        self._unfitted: StoreFit | None = None
        self._held: Held | None = None  # nothing was read yet

    def forget(self) -> None:
        """Let go of it; `refresh` reads the store anew."""
        self._held = None

    def refresh(self) -> Held:
        """What is held of the store, brought to its revision."""
        revision, held = self._repository.revision(), self._held
        if held is None or held.snapshot.revision != revision:
            # Another revision is older where the store was put back from a backup.
            known = held if held is not None and held.snapshot.revision < revision else None
            held, changes = self._changes(known)
            # It changes in place: a search that is interrupted here leaves nothing, and the next reads all anew.
            self._held = None
            if held is not known:
                held = self._fitted(held, changes)
            held.apply(changes)
            self._held = held
        if held.keys is not None and held.keys.fit.is_due(len(held.snapshot)):
            held = self._held = self._refitted(held)
        return held

    def _changes(self, known: Held | None) -> tuple[Held, Changes]:
        """What happened since what is `known`, all of it under one stamp, and what it is to be applied to.

        Where a memory was forgotten or keys were made anew, that holds nothing yet and everything is read again, as by
        one who opens the store now: nothing of what is gone may stay in what was fitted on it.
        """
        while True:
            stamp = self._repository.stamp()
            if known is not None and known.stamp != stamp:
                known = None
            changes = self._repository.changes(known.snapshot.revision if known is not None else 0)
            if known is not None and not known.can_apply(changes):
                known = None
            elif self._repository.stamp() == stamp:
                return known or self._nothing(stamp), changes

    def _nothing(self, stamp: KeyStamp | None) -> Held:
        """Of a store of `stamp`, with the whitening that is kept with it."""
        model = self._model
        if model is None or (stamp is not None and stamp.identity != model.stamp.identity):
            return Held(stamp, Snapshot(), keys=None)
        return Held(stamp, Snapshot(), HeldKeys.start(model, fit=self._stored_fit(model)))

    def _stored_fit(self, model: ModelKeys) -> StoreFit:
        body = self._repository.statistics(key_space_name(model.stamp))
        stored = StoreFit.from_bytes(body, recipe=model.recipe) if body is not None else None
        if stored is not None:
            return stored
        if self._unfitted is None:  # made once: it takes the eigenvectors of every layer
            self._unfitted = StoreFit.start(calibration=model.calibration, recipe=model.recipe)
        return self._unfitted

    def _refitted(self, held: Held) -> Held:
        """The same with the whitening fitted on all keys."""
        changes = self._repository.changes(0)
        if self._repository.stamp() != held.stamp:
            return held  # re-keyed meanwhile; the next search starts over
        refitted = self._fitted(self._nothing(held.stamp), changes)
        refitted.apply(changes)
        return refitted

    def _fitted(self, nothing: Held, changes: Changes) -> Held:
        """What `changes`, which are everything, are to be applied to: where it is time for that, with the whitening
        fitted on all of their keys, which is kept with the store.
        """
        keys, memories = nothing.keys, changes.memories
        if keys is None or not keys.fit.is_due(len(memories.seqs)):
            return nothing
        model = keys.model
        fit = keys.fit.updated(
            memories.seqs, memories.keys, calibration=model.calibration, recipe=model.recipe
        )
        # A store that is read-only, or busy just now, is searched with a fit of this process's own.
        with contextlib.suppress(StoreNotWritable, StoreBusy):
            self._repository.save_statistics(
                key_space_name(model.stamp), fit.to_bytes(), as_of=changes.revision
            )
        return Held(nothing.stamp, Snapshot(), HeldKeys.start(model, fit=fit))


def key_space_name(stamp: KeyStamp) -> str:
    """Under this name a store keeps the whitening fitted on its keys of `stamp`."""
    return f"key_space:{stamp.model_id}:{stamp.key_version}"
