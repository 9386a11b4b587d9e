"""Binary keys in front of others: signs choose the memories whose better keys are then compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import KeyCode, KeyIndex
from aspen.activation_db.whitening import KeySpace
from aspen.types import FloatArray

RESCORED = 100
"""Memories that the signs choose."""


@dataclass(frozen=True)
class Prefiltered(KeyCode):
    """Two keys of one memory, one behind the other: `signs`, and those of the code `better`, whose layers these are."""

    signs: KeyCode
    better: KeyCode

    @property
    def size(self) -> int:
        return self.signs.size + self.better.size

    def encode(self, pooled: FloatArray) -> bytes:
        return self.signs.encode(pooled) + self.better.encode(pooled)

    def coefficients(self, keys: NDArray[np.uint8]) -> list[FloatArray]:
        return self.better.coefficients(keys[:, self.signs.size :])


class PrefilteredIndex(KeyIndex):
    """An index of any code. Of a `Prefiltered` one, memories that the signs do not choose keep the cosine of those."""

    def __init__(self, *, code: KeyCode, space: KeySpace) -> None:
        super().__init__(code=code, space=space)
        self._size = code.signs.size if isinstance(code, Prefiltered) else 0
        self._signs = KeyIndex(code=code.signs, space=space) if isinstance(code, Prefiltered) else None

    def append(self, keys: NDArray[np.uint8]) -> None:
        super().append(keys)
        if self._signs is not None:
            self._signs.append(keys[:, : self._size])

    def cosines(self, prompt: FloatArray, *, rows: NDArray[np.int64] | None = None) -> FloatArray:
        near = super().cosines(prompt, rows=rows)
        if self._signs is None:
            return near
        found = self._signs.cosines(prompt, rows=rows)
        chosen = np.argsort(-found.sum(axis=1), kind="stable")[:RESCORED]
        found[chosen] = near[chosen]
        return found
