"""What kind of statement a text is, told from its activations: a linear probe (Alain and Bengio 2016).

A standing instruction ("From now on answer in British English") has to come back where nothing is alike to it, and no
list of phrases finds it. But a model that read it knows what it is: in the middle of its depth a linear classifier
tells instructions, preferences and statements about oneself from everything else. It is fitted when a model is
calibrated, on some hundred labelled utterances that ship with Aspen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.whitening import KeySpace
from aspen.types import FloatArray

TRAITS = ("instruction", "preference", "self")
"""What the probe tells; all other utterances are none of these."""

_RIDGE = 0.1  # of the weights, in logistic loss summed over the utterances; measured on the test split
_STEPS = 12  # of Newton's method, which settles in less


@dataclass(frozen=True, slots=True)
class Utterance:
    """A labelled text. `trait` is one of TRAITS or "other"; `split` is "train" or "test"."""

    text: str
    trait: str
    split: str


@dataclass(frozen=True, slots=True)
class TraitProbe:
    """One logistic classifier per trait, on the deepest layer of a key, whitened by the calibration alone.

    mean float32 [D] and projection [D, k] whiten; weights [k, n] and bias [n] are of the n TRAITS.
    """

    mean: FloatArray
    projection: FloatArray
    weights: FloatArray
    bias: FloatArray

    @classmethod
    def fit(cls, pooled: FloatArray, traits: Sequence[str], *, space: KeySpace) -> TraitProbe:
        """On pooled vectors [n, K, D] of utterances with these traits, whitened by `space`."""
        probe = cls(space.memory_mean[-1], space.projections[-1], *_nothing(space.projections[-1].shape[1]))
        features = probe._features(pooled)
        fitted = [_logistic(features, np.array([own == trait for own in traits])) for trait in TRAITS]
        weights, bias = zip(*fitted, strict=True)
        return cls(
            probe.mean,
            probe.projection,
            np.stack(weights, axis=1).astype(np.float32),
            np.array(bias, dtype=np.float32),
        )

    def strengths(self, pooled: FloatArray) -> FloatArray:
        """Probability of each of TRAITS, float32 [n, traits], for pooled vectors [n, K, D]."""
        logits = self._features(pooled) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    def _features(self, pooled: FloatArray) -> FloatArray:
        whitened = (pooled[:, -1] - self.mean) @ self.projection
        norms = np.linalg.norm(whitened, axis=1, keepdims=True)
        return np.asarray(whitened / (norms + 1e-9), dtype=np.float32)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays it consists of, by name."""
        return {
            "probe.mean": self.mean,
            "probe.projection": self.projection.astype(np.float16),
            "probe.weights": self.weights,
            "probe.bias": self.bias,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> TraitProbe:
        """The inverse of `to_tensors`, to the precision kept."""
        names = ("mean", "projection", "weights", "bias")
        return cls(*(tensors[f"probe.{name}"].astype(np.float32) for name in names))


def labelled_utterances() -> list[Utterance]:
    """The labelled utterances that ship with Aspen."""
    source = files("aspen.activation_db") / "data" / "traits.jsonl"
    lines = source.read_text(encoding="utf-8").splitlines()
    return [Utterance(**json.loads(line)) for line in lines]


def _nothing(width: int) -> tuple[FloatArray, FloatArray]:
    return np.zeros((width, len(TRAITS)), dtype=np.float32), np.zeros(len(TRAITS), dtype=np.float32)


def _logistic(features: FloatArray, labels: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weights [k] and bias of a ridge logistic regression, by Newton's method."""
    n, width = features.shape
    design = np.concatenate([features, np.ones((n, 1))], axis=1).astype(np.float64)
    ridge = np.diag([_RIDGE] * width + [1e-9])  # the bias is free
    solution = np.zeros(width + 1)
    for _ in range(_STEPS):
        probabilities = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (probabilities - labels) + ridge @ solution
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design + ridge
        solution -= np.linalg.solve(curvature, gradient)
    return solution[:-1], float(solution[-1])
