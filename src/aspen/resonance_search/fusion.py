"""Fusion: arms on one scale, then their sum."""

from __future__ import annotations

import numpy as np

from aspen.types import FloatArray


def zscore(scores: FloatArray) -> FloatArray:
    """Scores [n, ...] in standard deviations from the mean over the n candidates; 0 where all are equal."""
    if len(scores) == 0:
        return scores
    deviation = scores.std(axis=0, dtype=np.float64)
    centred = scores - scores.mean(axis=0, dtype=np.float64)
    return np.asarray(centred / np.where(deviation > 1e-9, deviation, np.inf), dtype=np.float32)
