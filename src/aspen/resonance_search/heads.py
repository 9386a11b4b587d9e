"""The heads arm: how much attention the prompt would pay to a memory that stood right before it.

It reads the keys of single tokens, so it looks at the best candidates of the other arms alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import HeadSet, head_match
from aspen.repository import KeyStore
from aspen.resonance_search.arms import Query, Unavailable
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray

_SHORTLIST, _SHORT_OF_MANY, _MANY = 300, 100, 3000
_FULL_TOKENS = 120
"""A longer memory counts in proportion less: its keys are those of its beginning."""


def shortlist_length(candidates: int) -> int:
    """How many of the best candidates are looked at; the others count as the least matching of these.

    A third finds a third of a point less (docs/benchmarks/recall.md), and keeps recall quick in large stores.
    """
    return _SHORTLIST if candidates <= _MANY else _SHORT_OF_MANY


class HeadMatchArm:
    """Head match of the shortlist."""

    name = "heads"
    unit = "z-scored attention, summed over heads"
    weight = 0.6

    def __init__(self, store: KeyStore, *, heads: HeadSet | None, refusal: str = "") -> None:
        """`heads` None: the model's heads are not used, for the reason `refusal`."""
        self._store = store
        self._heads = heads
        self._refusal = refusal

    def score(
        self, query: Query, candidates: Candidates, *, shortlist: NDArray[np.int64]
    ) -> FloatArray | Unavailable:
        """Sum over heads of the match's z-score, float32 [n]; only the rows in `shortlist` are looked at."""
        if self._heads is None:
            return Unavailable(self._refusal)
        if query.heads is None:
            return Unavailable("no forward pass was made for this prompt")
        bodies = self._store.head_keys(candidates.seqs[shortlist].tolist())
        rows = [int(row) for row in shortlist if self._heads.fits(bodies.get(int(candidates.seqs[row]), b""))]
        if not rows:
            return Unavailable("no memory has head keys")
        match = head_match(
            query.heads, [bodies[int(candidates.seqs[row])] for row in rows], heads=self._heads
        )
        column = np.tile(match.min(axis=0), (len(candidates.seqs), 1))
        column[rows] = match
        whole = np.minimum(1.0, _FULL_TOKENS / np.maximum(candidates.token_counts, 1))
        return np.asarray(zscore(zscore(column).sum(axis=1)) * whole, dtype=np.float32)
