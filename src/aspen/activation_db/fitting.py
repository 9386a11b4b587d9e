"""When and how a store's own whitening is fitted: from stored keys, without running the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aspen.activation_db.calibration import Calibration
from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.keys import KeyRecipe
from aspen.activation_db.moments import Moments
from aspen.activation_db.whitening import KeySpace
from aspen.types import Seqs

PRIOR_COUNT = 100.0
"""How many memories the calibration counts as, beside the store's own."""
_VERSION = 1
_FIRST_FIT = 20
_GROWTH = 1.3
_MOST_ROWS = 10_000
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class StoreFit:
    """The whitening fitted on a store, and what it takes to go on from there.

    own: moments of the store's keys up to the one of memory `last_seq`, the calibration not counted.
    """

    space: KeySpace
    own: Moments
    last_seq: int

    @classmethod
    def start(cls, *, calibration: Calibration, recipe: KeyRecipe) -> StoreFit:
        """For a store without memories: the calibration alone decides."""
        own = Moments.empty(n_layers=len(recipe.layers), width=recipe.width)
        return cls(_whitening(own, calibration=calibration, recipe=recipe), own, last_seq=0)

    @property
    def memories(self) -> int:
        """How many memories it is fitted on."""
        return round(self.own.count)

    def is_due(self, memories: int) -> bool:
        """Whether a store of `memories` has outgrown this fit, or shrunk far below it.

        The time between fits grows with the store: each takes a new index of every key.
        """
        if memories < _FIRST_FIT:
            return False
        return memories >= _GROWTH * self.memories or memories * _GROWTH <= self.memories

    def updated(
        self, seqs: Seqs, keys: NDArray[np.uint8], *, calibration: Calibration, recipe: KeyRecipe
    ) -> StoreFit:
        """Fitted on all of a store's keys, uint8 [n, bytes], in ascending order of `seqs` [n].

        Only the keys after `last_seq` are read; all of them where a memory was forgotten since, for what it gave
        cannot be told from the rest. The calibration stands in for memories not there yet: it fades as the store
        grows, without a jump.
        """
        known = int(np.searchsorted(seqs, self.last_seq, side="right"))
        own = self.own
        if known != self.memories:
            known, own = 0, Moments.empty(n_layers=len(recipe.layers), width=recipe.width)
        if len(keys) > known:
            new = moments_of(keys[known:], code=calibration.key_code)
            own = own.merge(new.weighted(float(len(keys) - known)))
        space = _whitening(own, calibration=calibration, recipe=recipe)
        return StoreFit(space, own, last_seq=int(seqs[-1]) if len(seqs) else 0)

    def to_bytes(self) -> bytes:
        """As safetensors."""
        tensors = self.own.to_tensors() | self.space.to_tensors()
        tensors["last_seq"] = np.array([self.last_seq], dtype=np.int64)
        tensors["version"] = np.array([_VERSION], dtype=np.int64)
        return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})

    @classmethod
    def from_bytes(cls, body: bytes, *, recipe: KeyRecipe | None = None) -> StoreFit | None:
        """The inverse of `to_bytes`; None where it is damaged, of another version, or does not fit `recipe`.

        Nothing is lost with it: it is derived from the keys.
        """
        try:
            tensors = load(body)
            fit = cls(
                KeySpace.from_tensors(tensors), Moments.from_tensors(tensors), int(tensors["last_seq"][0])
            )
            version = int(tensors["version"][0])
        except (SafetensorError, LookupError, ValueError):
            return None
        return fit if version == _VERSION and fit._is_sound(recipe) else None

    def _is_sound(self, recipe: KeyRecipe | None) -> bool:
        """Whether all parts are of one shape, that of `recipe` where there is one."""
        shape = self.own.mean.shape
        n_layers, width = shape if recipe is None else (len(recipe.layers), recipe.width)
        most = self.space.dims if recipe is None else recipe.dims
        return (
            shape == self.space.memory_mean.shape == self.space.prompt_mean.shape == (n_layers, width)
            and len(self.space.projections) == len(most) == n_layers
            and all(projection.shape[0] == width for projection in self.space.projections)
            and all(dim <= limit for dim, limit in zip(self.space.dims, most, strict=True))
        )


def moments_of(keys: NDArray[np.uint8], *, code: KeyCode) -> Moments:
    """Moments of encoded keys, one or more, from at most 10,000 rows spread evenly over them.

    Ten thousand rows settle a covariance of some 600 dimensions; more cost time and move nothing.
    """
    if len(keys) > _MOST_ROWS:
        keys = keys[np.linspace(0, len(keys) - 1, _MOST_ROWS).astype(np.int64)]
    moments = code.moments(keys[:_BLOCK])
    for start in range(_BLOCK, len(keys), _BLOCK):
        moments = moments.merge(code.moments(keys[start : start + _BLOCK]))
    return moments


def _whitening(own: Moments, *, calibration: Calibration, recipe: KeyRecipe) -> KeySpace:
    together = calibration.turns.weighted(PRIOR_COUNT).merge(own)
    return KeySpace.fit(together, prompt_offset=calibration.prompt_offset, recipe=recipe)
