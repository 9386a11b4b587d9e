"""Whitening: makes raw activations comparable.

A few massive dimensions dominate every residual stream, so that the cosine of any two texts is close to 1. Per
layer, keys are centred, projected on their principal directions and divided by the spread along each, after which
the cosine measures what tells two texts apart. Prompts are centred on a mean of their own: a question differs from
every statement in the same direction, which says nothing about what it asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.keys import KeyRecipe
from aspen.activation_db.moments import Moments
from aspen.types import FloatArray

SHRINKAGE = 0.1
"""Share of a sphere in the covariance that keys are whitened by."""


def shrunk(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A covariance [D, D], shrunk towards a sphere (Ledoit and Wolf 2004): few texts say little of rare directions."""
    sphere = np.eye(len(covariance)) * (np.trace(covariance) / len(covariance))
    return np.asarray((1 - SHRINKAGE) * covariance + SHRINKAGE * sphere, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class KeySpace:
    """A fitted whitening: turns pooled vectors into keys whose dot product, layer by layer, is a cosine.

    memory_mean, prompt_mean: float32 [K, D]; projections: per layer float32 [D, dim].
    """

    memory_mean: FloatArray
    prompt_mean: FloatArray
    projections: tuple[FloatArray, ...]

    @classmethod
    def fit(cls, moments: Moments, *, prompt_offset: FloatArray, recipe: KeyRecipe) -> KeySpace:
        """Whiten by `moments`. `prompt_offset` [K, D] is the mean of prompts minus the mean of memories.

        The two means always come from one fit: a prompt mean of other texts beside a memory mean of these moves
        every prompt in the same wrong direction.
        """
        projections = []
        for layer, dim in enumerate(recipe.dims):
            covariance = moments.scatter[layer] / max(moments.count - 1, 1)
            values, vectors = np.linalg.eigh(shrunk(covariance))
            values, vectors = values[::-1], vectors[:, ::-1]
            kept = min(dim, max(1, int((values > values[0] * 1e-9).sum())))
            # The floor keeps directions without any spread from being blown up to noise.
            spread = np.sqrt(np.maximum(values[:kept], 0) + 1e-6 * max(values[0], 1e-12))
            projections.append((vectors[:, :kept] / spread).astype(np.float32))
        memory_mean = moments.mean.astype(np.float32)
        return cls(memory_mean, memory_mean + prompt_offset, tuple(projections))

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions per layer."""
        return tuple(projection.shape[1] for projection in self.projections)

    def memory_keys(self, pooled: FloatArray) -> list[FloatArray]:
        """Pooled vectors [n, K, D] of memories -> per layer float32 [n, dim], rows of length 1."""
        return self._project(pooled, self.memory_mean)

    def prompt_keys(self, pooled: FloatArray) -> list[FloatArray]:
        """Pooled vectors [n, K, D] of prompts -> per layer float32 [n, dim], rows of length 1."""
        return self._project(pooled, self.prompt_mean)

    def _project(self, pooled: FloatArray, mean: FloatArray) -> list[FloatArray]:
        keys = []
        for layer, projection in enumerate(self.projections):
            key = (pooled[:, layer] - mean[layer]) @ projection
            keys.append(key / (np.linalg.norm(key, axis=1, keepdims=True) + 1e-9))
        return keys

    def to_tensors(self) -> dict[str, FloatArray]:
        """The arrays it consists of, by name."""
        tensors = {"memory_mean": self.memory_mean, "prompt_mean": self.prompt_mean}
        return tensors | {f"projection.{layer}": matrix for layer, matrix in enumerate(self.projections)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, FloatArray]) -> KeySpace:
        """The inverse of `to_tensors`; KeyError where one is missing."""
        memory_mean = tensors["memory_mean"]
        projections = tuple(tensors[f"projection.{layer}"] for layer in range(len(memory_mean)))
        return cls(memory_mean, tensors["prompt_mean"], projections)
