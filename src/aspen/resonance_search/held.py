"""What a search holds of its store in memory, from one search to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aspen.activation_db import Calibration, KeyIndex, KeyRecipe, StoreFit
from aspen.repository import Changes, KeyStamp
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

    def apply(self, changes: Changes) -> None:
        """Bring all of it to `changes.revision`. Interrupted half-way, its parts no longer fit each other."""
        self.snapshot.apply(changes)
        if self.keys is not None:
            self.keys.index.append(changes.memories.keys)
            self.keys.stored.append(changes.memories.keys)
