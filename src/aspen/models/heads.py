"""Single attention heads: which, what they compute of a text, and how their queries and keys meet.

Queries and keys are taken before rotary embedding, so that a text can be put at any position later on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray


@dataclass(frozen=True, slots=True, order=True)
class HeadRef:
    """Head `head` of block `block`, both from 0. Block b reads the residual stream of layer b."""

    block: int
    head: int


@dataclass(frozen=True, slots=True)
class Captured:
    """What one partial forward pass kept of a sequence of T tokens. Queries and keys are not rotated.

    hidden_states: float32 [layers asked for, T, D]; queries: float32 [heads asked for, T, head_dim]; keys:
    float32 [n, T, head_dim], of the n key heads that `ModelInfo.key_heads` names.
    """

    hidden_states: FloatArray
    queries: FloatArray
    keys: FloatArray


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary embedding (Su et al. 2021), half-split: of the r rotated dimensions, i turns with i + r/2.

    inverse_frequencies: float32 [r/2], radians per position; r < head_dim leaves the last dimensions as they are.
    factor: what rotated dimensions are multiplied by besides (YaRN).
    """

    inverse_frequencies: FloatArray
    factor: float = 1.0

    def rotate(self, vectors: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
        """Vectors [..., T, head_dim] as they stand at `positions` [T]; float32 of the same shape."""
        half = len(self.inverse_frequencies)
        rotated = np.array(vectors, dtype=np.float32)
        if not rotated.size:
            return rotated
        # Positions repeat where many texts are rotated at once: sines are computed for each but once.
        lowest, highest = int(positions.min()), int(positions.max())
        angles = np.arange(lowest, highest + 1, dtype=np.float32)[:, None] * self.inverse_frequencies
        at = positions - lowest
        cos, sin = (table[at] * np.float32(self.factor) for table in (np.cos(angles), np.sin(angles)))
        first, second = vectors[..., :half], vectors[..., half : 2 * half]
        # In place: half as many passes over memory, which is what the time goes into.
        low, high = rotated[..., :half], rotated[..., half : 2 * half]
        low *= cos
        low -= second * sin
        high *= cos
        high += first * sin
        return rotated

    def rotate_back(self, vectors: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
        """The inverse of `rotate`: vectors [..., T, head_dim] that stand at `positions` as they were before."""
        rotated = self.rotate(vectors, -positions)
        rotated[..., : 2 * len(self.inverse_frequencies)] /= np.float32(self.factor) ** 2
        return rotated


@dataclass(frozen=True, slots=True)
class HeadAttention:
    """How queries and keys of a block meet: `softcap(scale * q.k)` after rotation; see `AttentionInputs`.

    rotary: None where positions are no matter of attention itself (GPT-2 adds them to the embedding).
    """

    scale: float
    softcap: float | None
    rotary: Rotary | None
