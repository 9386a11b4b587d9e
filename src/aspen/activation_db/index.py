"""Exact search over whitened keys, held in memory as int8."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.whitening import KeySpace
from aspen.types import FloatArray

_BLOCK = 4096
"""Rows converted to float32 at a time: a block of keys stays inside the processor's cache."""


class KeyIndex:
    """The whitened keys of a store's memories, one row per memory, in the order they were appended.

    Whitened keys are derived data: the store holds the pooled vectors, and a new `KeySpace` makes a new index from
    them.
    """

    def __init__(self, *, code: KeyCode, space: KeySpace) -> None:
        self._code = code
        self._space = space
        self._values = np.zeros((0, sum(space.dims)), dtype=np.int8)
        self._scales = np.zeros((0, len(space.dims)), dtype=np.float32)
        # From coefficients straight to whitened keys: half the work of going over the pooled vectors.
        self._maps = [
            (layer.synthesis @ projection, (layer.centre - mean) @ projection)
            for layer, projection, mean in zip(code.layers, space.projections, space.memory_mean, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._values)

    def append(self, keys: NDArray[np.uint8]) -> None:
        """Whiten encoded keys, uint8 [n, bytes], and add them as the last n rows."""
        values, scales = [self._values], [self._scales]
        for start in range(0, len(keys), _BLOCK):
            layers = self._whitened(keys[start : start + _BLOCK])
            scale = np.stack([np.abs(layer).max(axis=1) for layer in layers], axis=1) / 127 + 1e-12
            values.append(
                np.concatenate(
                    [np.rint(layer / scale[:, [k]]).astype(np.int8) for k, layer in enumerate(layers)], axis=1
                )
            )
            scales.append(scale.astype(np.float32))
        self._values = np.concatenate(values)
        self._scales = np.concatenate(scales)

    def _whitened(self, keys: NDArray[np.uint8]) -> list[FloatArray]:
        """What `KeySpace.memory_keys` makes of the pooled vectors of encoded keys."""
        whitened = []
        for coefficients, (matrix, offset) in zip(self._code.coefficients(keys), self._maps, strict=True):
            key = coefficients @ matrix + offset
            whitened.append(key / (np.linalg.norm(key, axis=1, keepdims=True) + 1e-9))
        return whitened

    def cosines(self, prompt: FloatArray, *, rows: NDArray[np.int64] | None = None) -> FloatArray:
        """Cosine of a prompt's pooled vectors [K, D] with every row (or those named), per layer: float32 [n, K]."""
        prompt_layers = self._space.prompt_keys(prompt[None])
        values = self._values if rows is None else self._values[rows]
        scales = self._scales if rows is None else self._scales[rows]
        products = np.empty_like(scales)
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK].astype(np.float32)
            column = 0
            for k, layer in enumerate(prompt_layers):
                width = layer.shape[1]
                products[start : start + _BLOCK, k] = block[:, column : column + width] @ layer[0]
                column += width
        return np.asarray(products * scales, dtype=np.float32)
