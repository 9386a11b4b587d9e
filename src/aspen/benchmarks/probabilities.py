"""How well a probability tells two classes apart, and whether it means what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.benchmarks.metrics import resamples

BINS = 5
"""Of the reliability table, equally wide."""

Values = NDArray[np.float64]
Labels = NDArray[np.bool_]
Statistic = Callable[[Values, Labels, Values], float]
"""Of predictions [n], labels [n] and weights [n]."""


def auroc(predicted: Values, observed: Labels, weights: Values) -> float:
    """Area under the ROC curve: how often a positive is above a negative, one that is level counting half."""
    _, level = np.unique(predicted, return_inverse=True)
    positive = np.bincount(level, weights * observed)
    negative = np.bincount(level, weights * ~observed)
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))


def brier_score(predicted: Values, observed: Labels, weights: Values) -> float:
    """Mean squared error of the probabilities: 0 is perfect, and 0.25 is what a constant of one half has."""
    return float(np.average((predicted - observed) ** 2, weights=weights))


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions in [low, high), the last bin including 1. mean_predicted, observed: of `count`; None of none."""

    low: float
    high: float
    count: int
    mean_predicted: float | None
    observed: float | None


def reliability(predicted: Values, observed: Labels) -> list[Bin]:
    """The table behind a reliability diagram."""
    place = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    table = []
    for number in range(BINS):
        inside = place == number
        count = int(inside.sum())
        means = (float(predicted[inside].mean()), float(observed[inside].mean())) if count else (None, None)
        table.append(Bin(number / BINS, (number + 1) / BINS, count, *means))
    return table


def expected_calibration_error(table: Sequence[Bin]) -> float:
    """Mean distance of what was predicted from what was observed, over the bins, each by its count."""
    gaps = [
        bin_.count * abs(bin_.mean_predicted - bin_.observed)
        for bin_ in table
        if bin_.mean_predicted is not None and bin_.observed is not None
    ]
    return sum(gaps) / sum(bin_.count for bin_ in table)


def interval(
    statistic: Statistic, predicted: Values, observed: Labels, *, groups: Sequence[str]
) -> list[float] | None:
    """95 % interval of `statistic`: percentile bootstrap over `groups` [n]; None with fewer than two of them."""
    drawn = [statistic(predicted, observed, weights) for weights in resamples(groups)]
    if not drawn:
        return None
    return [round(float(end), 3) for end in np.percentile(drawn, [2.5, 97.5])]
