"""Names for the arrays that cross a room's boundary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TokenIds = NDArray[np.int32]
"""Token ids, shape [T]."""
FloatArray = NDArray[np.float32]
Seqs = NDArray[np.int64]
"""Sequence numbers of memories in one store, shape [n]."""
