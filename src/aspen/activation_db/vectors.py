"""Vectors of sentence embedders at rest, as int8: nobody knows beforehand which directions they span."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray

_SCALE = np.dtype("<f4")


def encode_vector(vector: FloatArray) -> bytes:
    """Bytes of a finite vector [d]: a float32 scale and d int8 values; value = scale x int8. Little-endian."""
    scale = np.array([np.abs(vector).max() / np.float32(127)], dtype=_SCALE)
    values: NDArray[np.int8] = np.rint(vector / np.where(scale == 0, 1, scale)).astype(np.int8)
    return scale.tobytes() + values.tobytes()


def decode_vectors(bodies: NDArray[np.uint8]) -> FloatArray:
    """Encoded vectors, uint8 [n, bytes], as float32 [n, d]."""
    scales = np.ascontiguousarray(bodies[:, : _SCALE.itemsize]).view(_SCALE)
    values = np.ascontiguousarray(bodies[:, _SCALE.itemsize :]).view(np.int8)
    return np.asarray(values * scales, dtype=np.float32)
