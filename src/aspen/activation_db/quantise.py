"""Activations in fewer bits, and back: one scale per vector, so that no massive activation overflows.

Some models have single activations in the tens of thousands ("massive activations", Sun et al. 2024), above
the 65,504 that fp16 can hold. Every vector therefore carries its own float32 scale at both levels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray

_SMALLEST_SCALE = np.float32(2.0**-126)
"""The smallest normal float32: below it a division would lose bits, and vectors of zeros need some scale."""


def absolute_maxima(values: FloatArray) -> FloatArray:
    """Largest absolute value of each vector: float32 [..., D] -> [...]; NaN or inf where it has one."""
    # Two reductions instead of max(abs): no temporary of the size of the input.
    maxima: FloatArray = np.maximum(values.max(axis=-1), -values.min(axis=-1))
    return maxima


def to_int8(values: FloatArray, *, maxima: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Symmetric absmax quantisation of float32 [N, T, D]: int8 of that shape, and float32 scales [N, T].

    Error of a value: at most half its vector's scale (and a rounding of float32), scale = absmax / 127.
    `maxima` are the `absolute_maxima` of `values`, all finite.
    """
    scales = np.maximum(maxima / np.float32(127), _SMALLEST_SCALE)
    quantised = np.empty(values.shape, dtype=np.int8)
    for layer in range(len(values)):  # one layer at a time stays in the cache
        scaled = values[layer] / scales[layer][:, None]
        np.rint(scaled, out=scaled)
        quantised[layer] = np.clip(scaled, -127, 127, out=scaled)
    return quantised, scales


def to_fp16(values: FloatArray, *, maxima: FloatArray) -> tuple[NDArray[np.float16], FloatArray]:
    """Half precision with a power of two per vector: float16 [N, T, D] and float32 scales [N, T].

    The scale puts the largest value between 2**14 and 2**15, so that nothing overflows and the whole range of
    fp16 is used. Error of a value: at most 2**-11 of it, or 2**-25 times the scale where that is more.
    """
    _, exponents = np.frexp(maxima)
    # Bounded so that 1 / scale stays a normal number; vectors below 2**-85 are not worth more care.
    scales = np.ldexp(np.float32(1), np.clip(exponents - 15, -100, 113)).astype(np.float32)
    halves = np.empty(values.shape, dtype=np.float16)
    for layer in range(len(values)):
        halves[layer] = values[layer] / scales[layer][:, None]
    return halves, scales


def to_float32(quantised: NDArray[Any], *, scales: FloatArray) -> FloatArray:
    """Inverse of `to_int8` and `to_fp16`: [N, T, D] and float32 scales [N, T] -> float32 [N, T, D]."""
    values: FloatArray = quantised.astype(np.float32)
    values *= scales[..., None]
    return values
