"""Recall at k over questions, and intervals by resampling conversations."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFFS = (5, 10, 25)
_DRAWS = 2000

Shares = NDArray[np.float64]
"""Per question and cutoff, the share of the evidence found: [n, len(CUTOFFS)], in [0, 1]."""


def shares_found(ranked: Sequence[str], evidence: Collection[str]) -> list[float]:
    """Share of `evidence` among the first k of `ranked`, for each cutoff."""
    return [len(set(ranked[:k]) & set(evidence)) / len(evidence) for k in CUTOFFS]


def recall(shares: Shares) -> dict[str, float | None]:
    """recall@k: the mean over questions in percent, one decimal; None where there is no question."""
    means = shares.mean(axis=0) * 100 if len(shares) else [None] * len(CUTOFFS)
    return {
        f"recall@{k}": None if mean is None else round(float(mean), 1)
        for k, mean in zip(CUTOFFS, means, strict=True)
    }


def interval(shares: Shares, groups: NDArray[np.str_]) -> dict[str, list[float] | None]:
    """95 % interval of recall@k, or of a difference: percentile bootstrap over whole groups (conversations).

    Questions of one conversation are not independent, conversations are. None with fewer than two of them.
    """
    members = [shares[groups == name] for name in np.unique(groups)]
    if len(members) < 2:
        return {f"recall@{k}": None for k in CUTOFFS}
    random = np.random.default_rng(0)
    means = [
        np.concatenate([members[i] for i in random.integers(len(members), size=len(members))]).mean(axis=0)
        for _ in range(_DRAWS)
    ]
    low, high = np.percentile(means, [2.5, 97.5], axis=0) * 100
    return {f"recall@{k}": [round(float(low[i]), 1), round(float(high[i]), 1)] for i, k in enumerate(CUTOFFS)}
