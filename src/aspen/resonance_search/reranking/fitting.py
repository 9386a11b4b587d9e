"""Learning the re-ranker's weights, from questions whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.models import HeadRef
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.reranking.reranker import Reranker
from aspen.types import FloatArray

_RIDGE = 125.0  # of the weights, beside the loss of all questions together
_TRUSTED = 0.6
"""Share of what was learned that is used: stores hold other texts than those it was learned from."""
_LEAST_WEIGHT = 0.1  # of the first stage's score
_NO_RIDGE = 1e-6  # nearly none, of the first stage's score
_STEPS, _SETTLED = 50, 1e-6  # of Newton's method, which settles in far fewer


@dataclass(frozen=True, slots=True)
class Example:
    """What the first stage found for a question: scores [n], attention in context [n, 2, heads], answers bool [n]."""

    scores: FloatArray
    masses: FloatArray
    answers: NDArray[np.bool_]


def fit_reranker(examples: Sequence[Example], heads: Sequence[HeadRef], *, texts: str) -> Reranker:
    """Listwise softmax regression (Cao et al. 2007), the first stage's score being one feature, with a ridge.

    `texts` as in `Reranker`. An example in which all or none are answers teaches nothing. InvalidInput where none
    teaches anything.
    """
    lists = [_List.of(one) for one in examples if one.answers.any() and not one.answers.all()]
    if not lists:
        raise InvalidInput(
            "A re-ranker is learned from questions whose answers are among what was found; none is."
        )
    *weights, of_scores = _solve(lists)
    # Relative to the first stage's score, which the lift is added to.
    relative = _TRUSTED * np.array(weights) / max(of_scores, _LEAST_WEIGHT)
    return Reranker(tuple(heads), relative.reshape(2, -1).astype(np.float32), texts)


@dataclass(frozen=True, slots=True)
class _List:
    """features float64 [n, 2 x heads + 1], the last being the score; target [n] sums to 1."""

    features: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def of(cls, example: Example) -> _List:
        masses = zscore(example.masses).reshape(len(example.masses), -1)
        features = np.column_stack([masses, example.scores - example.scores.max()])
        return cls(features.astype(np.float64), example.answers / example.answers.sum())


def _solve(lists: Sequence[_List]) -> NDArray[np.float64]:
    """Weights [features] that minimise the mean listwise loss and the ridge: Newton's method, damped."""
    width = lists[0].features.shape[1]
    ridge = 2 * _RIDGE / len(lists) * np.append(np.ones(width - 1), _NO_RIDGE)
    solution = np.append(np.zeros(width - 1), 1.0)
    loss = _loss(solution, lists, ridge=ridge)
    for _ in range(_STEPS):
        gradient, curvature = ridge * solution, np.diag(ridge)
        for one in lists:
            shares = np.exp(_log_shares(one, solution))
            mean = shares @ one.features
            gradient += (mean - one.target @ one.features) / len(lists)
            weighted = one.features * shares[:, None]
            curvature += (weighted.T @ one.features - np.outer(mean, mean)) / len(lists)
        step = np.linalg.solve(curvature, gradient)
        while (closer := _loss(solution - step, lists, ridge=ridge)) > loss and np.abs(step).max() > _SETTLED:
            step /= 2
        if np.abs(step).max() <= _SETTLED:
            break
        solution, loss = solution - step, closer
    return solution


def _loss(solution: NDArray[np.float64], lists: Sequence[_List], *, ridge: NDArray[np.float64]) -> float:
    listwise = sum(float(one.target @ _log_shares(one, solution)) for one in lists) / len(lists)
    return float(ridge @ solution**2) / 2 - listwise


def _log_shares(one: _List, solution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the softmax over a list, [n]."""
    scores = one.features @ solution
    scores -= scores.max()
    return np.asarray(scores - np.log(np.exp(scores).sum()))
