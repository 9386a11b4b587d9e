"""How much of the evidence is found, how early, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

DEPTH = 10
"""All-recall and nDCG look at as many hits."""
_DRAWS = 2000

Measures = NDArray[np.float64]
"""Per question and measure, in the order of `names`: [n, m], in [0, 1]."""
Figures = dict[str, float | None]
"""Percent with one decimal, by measure; None where there is no question."""
Intervals = dict[str, list[float] | None]


def names(cutoffs: Sequence[int]) -> tuple[str, ...]:
    """The measures, as they are called in reports."""
    return (*(f"recall@{k}" for k in cutoffs), f"all_recall@{DEPTH}", f"ndcg@{DEPTH}", "mrr")


def measured(ranked: Sequence[str], evidence: Collection[str], *, cutoffs: Sequence[int]) -> list[float]:
    """All measures of one question, in the order of `names`."""
    return [
        *(recall(ranked, evidence, k=k) for k in cutoffs),
        all_recall(ranked, evidence, k=DEPTH),
        ndcg(ranked, evidence, k=DEPTH),
        reciprocal_rank(ranked, evidence),
    ]


def recall(ranked: Sequence[str], evidence: Collection[str], *, k: int) -> float:
    """The share of the evidence among the first k."""
    return len(set(ranked[:k]) & set(evidence)) / len(set(evidence))


def all_recall(ranked: Sequence[str], evidence: Collection[str], *, k: int) -> float:
    """1 where all of the evidence is among the first k, else 0."""
    return float(set(evidence) <= set(ranked[:k]))


def ndcg(ranked: Sequence[str], evidence: Collection[str], *, k: int) -> float:
    """Normalised discounted cumulative gain at k; a memory is evidence or it is not."""
    wanted = set(evidence)
    gain = sum(1 / math.log2(place + 2) for place, source in enumerate(ranked[:k]) if source in wanted)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
    return gain / best


def reciprocal_rank(ranked: Sequence[str], evidence: Collection[str]) -> float:
    """1 over the place of the first evidence, 0 where none was found."""
    wanted = set(evidence)
    return next((1 / place for place, source in enumerate(ranked, start=1) if source in wanted), 0.0)


def means(measures: Measures, *, cutoffs: Sequence[int]) -> Figures:
    """The mean over questions of each measure."""
    values = measures.mean(axis=0).tolist() if len(measures) else [None] * measures.shape[1]
    return {
        name: None if value is None else _percent(value)
        for name, value in zip(names(cutoffs), values, strict=True)
    }


def intervals(measures: Measures, groups: Sequence[str], *, cutoffs: Sequence[int]) -> Intervals:
    """95 % interval of each mean, or of a mean difference: percentile bootstrap; None with fewer than two groups."""
    drawn = [weights @ measures / weights.sum() for weights in resamples(groups)]
    if not drawn:
        return dict.fromkeys(names(cutoffs))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    return {name: [_percent(low[i]), _percent(high[i])] for i, name in enumerate(names(cutoffs))}


def units(groups: Sequence[str]) -> list[str | int]:
    """Of each question [n], what is drawn with it: its conversation, or itself where its group is "".

    Questions of one conversation are not independent, conversations are.
    """
    return [group or position for position, group in enumerate(groups)]


def resamples(groups: Sequence[str]) -> Iterator[NDArray[np.float64]]:
    """Bootstrap: how often each question counts, [n], in each draw of whole units; no draws from a single unit."""
    drawn_from = units(groups)
    order = {unit: row for row, unit in enumerate(dict.fromkeys(drawn_from))}
    rows = np.array([order[unit] for unit in drawn_from], dtype=np.int64)
    random = np.random.default_rng(0)  # the same draws each time, so that figures can be made again
    for _ in range(_DRAWS if len(order) > 1 else 0):
        times = np.bincount(random.integers(len(order), size=len(order)), minlength=len(order))
        yield times.astype(np.float64)[rows]


def _percent(value: float) -> float:
    return round(value * 100, 1)
