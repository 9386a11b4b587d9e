"""Single heads: their order of dimensions, and how queries and keys are rotated, measured in a pass of the model.

Measured, because files name the frequencies of rotary embedding in many ways, and what counts is what the library does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.errors import ModelError
from aspen.models.heads import Rotary
from aspen.types import FloatArray

_TOLERANCE = 0.02
"""Share of the norm by which what was measured may miss the model's own rotation: float32 misses it by 1e-6."""


@dataclass(frozen=True, slots=True)
class HeadLayout:
    """The order of a head's dimensions: llama.cpp turns 2i with 2i + 1 in some models, Aspen always i with i + r/2.

    order: of llama.cpp's dimensions, in Aspen's order; inverse: the other way round; rotated: r.
    """

    order: NDArray[np.int64]
    inverse: NDArray[np.int64]
    rotated: int

    @classmethod
    def of(cls, head_dim: int, *, rotated: int, interleaved: bool) -> HeadLayout:
        """Of heads whose first `rotated` dimensions are turned."""
        order = np.arange(head_dim)
        if interleaved:
            order[:rotated] = np.concatenate([np.arange(0, rotated, 2), np.arange(1, rotated, 2)])
        return cls(order, np.argsort(order), rotated)

    def ours(self, vectors: FloatArray) -> FloatArray:
        """[..., head_dim] in Aspen's order; a copy."""
        return np.ascontiguousarray(vectors[..., self.order], dtype=np.float32)

    def theirs(self, vectors: FloatArray) -> FloatArray:
        """[..., head_dim] in llama.cpp's order; a copy."""
        return np.ascontiguousarray(vectors[..., self.inverse])


def measure_rotary(before: FloatArray, after: FloatArray, *, rotated: int) -> Rotary:
    """The rotation that turns `before` into `after`, both float32 [T, H, head_dim] at positions 0 to T - 1.

    ModelError where no rotary embedding does.
    """
    half = rotated // 2
    start, end = (part[..., :half] + 1j * part[..., half:rotated] for part in (before, after))
    turned = (end * start.conj()).sum(axis=1)  # [T, half]; its angle is position x frequency
    frequencies = np.zeros(half)
    for position in range(1, len(before)):
        missing = np.angle(turned[position] * np.exp(-1j * position * frequencies))
        frequencies += missing / position
    factor = float(np.linalg.norm(end) / np.linalg.norm(start))
    rotary = Rotary(frequencies.astype(np.float32), factor)
    expected = rotary.rotate(before.transpose(1, 0, 2), np.arange(len(before))).transpose(1, 0, 2)
    if not np.linalg.norm(expected - after) <= _TOLERANCE * np.linalg.norm(after):
        raise ModelError(
            "Queries and keys are not turned by a rotary embedding that Aspen knows.",
            hint="Everything else works; memories are then not matched by single heads.",
        )
    return rotary
