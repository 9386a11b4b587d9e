"""Which of many vectors has which other nearest to it, among those before it: exact, in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray

_BLOCK = 1024
"""Rows and columns of one product: 4 MB, which stay in the processor's cache."""


def nearest_before(vectors: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """For each of `vectors`, float32 [n, d] of length 1, the row of the nearest one before it, and their cosine.

    -1 and -inf for the first. The time goes with n²: 20,000 vectors of 500 dimensions take 2 x 10^11 operations.
    """
    nearest = np.full(len(vectors), -1, dtype=np.int64)
    cosines = np.full(len(vectors), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        rows = np.arange(len(block))
        for first in range(0, start + 1, _BLOCK):
            products = block @ vectors[first : first + _BLOCK].T
            if first == start:  # of itself and what comes after it none is before
                products[np.triu_indices(len(block))] = -np.inf
            best = products.argmax(axis=1)
            better = products[rows, best] > cosines[start : start + _BLOCK]
            nearest[start + rows[better]] = first + best[better]
            cosines[start + rows[better]] = products[rows, best][better]
    return nearest, cosines
