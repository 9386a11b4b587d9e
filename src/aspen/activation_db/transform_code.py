"""Transform coding: vectors in a few bits per dimension.

A vector is centred and turned to the principal directions of vectors like it (the Karhunen-Loeve transform), along
which the dimensions are uncorrelated; the first few hold nearly all of the variance, and the others are left out. Each
that is kept is rounded to one of the levels that lose least of a normal distribution (Lloyd 1982, Max 1960). A byte
holds two to eight dimensions, all of them with equally many levels: two of 16, three of 6, four of 4, five of 3 or
eight of 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray

_LEVELS = {2: 16, 3: 6, 4: 4, 5: 3, 8: 2}
"""Levels of each dimension, by how many share a byte."""


@dataclass(frozen=True)
class TransformCode:
    """A code for vectors of one kind.

    mean [D] and basis [D, d] (orthonormal columns) are of the vectors times `weights` [D], which say how much an error
    in each dimension counts; spread [d] is the standard deviation along each direction, greatest first. All float32,
    basis to the precision of float16. per_byte: how many of the d dimensions each byte holds, adding up to d or more.
    """

    mean: FloatArray
    basis: FloatArray
    spread: FloatArray
    weights: FloatArray
    per_byte: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        mean: NDArray[np.float64],
        covariance: NDArray[np.float64],
        *,
        size: int,
        per_byte: int | None = None,
        weights: FloatArray | None = None,
    ) -> TransformCode:
        """For vectors with this mean [D] and covariance [D, D].

        Of the `size` bytes each holds `per_byte` dimensions; None shares them out so that the error is least. Errors
        count by `weights` [D], None: alike in all dimensions.
        """
        factors = np.ones(len(mean)) if weights is None else weights.astype(np.float64)
        values, vectors = np.linalg.eigh(covariance * np.outer(factors, factors))
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        shared = _least_error(values, size=size) if per_byte is None else (per_byte,) * size
        kept = min(sum(shared), len(values))
        # The floor keeps directions without any spread from being divided by nothing.
        spread = np.sqrt(values[:kept] + 1e-9 * max(values[0], 1e-12))
        return cls(
            mean=(mean * factors).astype(np.float32),
            basis=vectors[:, :kept].astype(np.float16).astype(np.float32),
            spread=spread.astype(np.float32),
            weights=factors.astype(np.float32),
            per_byte=shared,
        )

    @property
    def size(self) -> int:
        """Bytes of an encoded vector."""
        return len(self.per_byte)

    @cached_property
    def _analysis(self) -> FloatArray:
        matrix: FloatArray = self.basis / self.spread
        return matrix

    @cached_property
    def synthesis(self) -> FloatArray:
        """From coefficients to vectors less `centre`, float32 [d, D]."""
        matrix: FloatArray = self.spread[:, None] * self.basis.T / self.weights
        return matrix

    @property
    def centre(self) -> FloatArray:
        """The vector whose coefficients are all 0, float32 [D]."""
        return self.mean / self.weights

    def analyse(self, vectors: FloatArray) -> FloatArray:
        """Coefficients along the directions of the basis, in units of the spread: [n, D] -> float32 [n, d]."""
        return np.asarray((vectors * self.weights - self.mean) @ self._analysis, dtype=np.float32)

    def quantise(self, coefficients: FloatArray) -> NDArray[np.uint8]:
        """Coefficients [n, d] as uint8 [n, size]."""
        n = len(coefficients)
        codes = np.empty((n, self.size), dtype=np.uint8)
        for count, positions, columns in self._runs:
            levels = _levels(_LEVELS[count])
            digits = np.zeros((n, len(positions) * count), dtype=np.int64)
            bounds = (levels[1:] + levels[:-1]) / 2
            digits[:, : len(columns)] = np.searchsorted(bounds, coefficients[:, columns.start : columns.stop])
            places = len(levels) ** np.arange(count)
            codes[:, positions.start : positions.stop] = digits.reshape(n, len(positions), count) @ places
        return codes

    def coefficients(self, codes: NDArray[np.uint8]) -> FloatArray:
        """The inverse of `quantise`, nearly: uint8 [n, size] -> float32 [n, d]."""
        found = np.empty((len(codes), len(self.spread)), dtype=np.float32)
        for count, positions, columns in self._runs:
            # `take` is twice as fast as indexing with an array.
            digits = _table(count).take(codes[:, positions.start : positions.stop], axis=0, mode="clip")
            found[:, columns.start : columns.stop] = digits.reshape(len(codes), len(positions) * count)[
                :, : len(columns)
            ]
        return found

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        """Vectors [n, D] as uint8 [n, size]."""
        return self.quantise(self.analyse(vectors))

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        """The vectors, nearly: uint8 [n, size] -> float32 [n, D]."""
        return np.asarray(self.coefficients(codes) @ self.synthesis + self.centre, dtype=np.float32)

    @cached_property
    def _runs(self) -> tuple[tuple[int, range, range], ...]:
        """Neighbouring bytes that hold equally many dimensions: how many, which bytes, which dimensions."""
        runs, position, column = [], 0, 0
        for count, same in groupby(self.per_byte):
            n_bytes = len(list(same))
            columns = range(column, min(column + n_bytes * count, len(self.spread)))
            runs.append((count, range(position, position + n_bytes), columns))
            position, column = position + n_bytes, columns.stop
        return tuple(runs)

    @cached_property
    def digest(self) -> bytes:
        """Codes of equal digest mean the same: SHA-256 of all that decoding depends on."""
        tensors = self.to_tensors("")
        return hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).digest()

    def to_tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays it consists of, by name; each begins with `name`."""
        return {
            f"{name}.mean": self.mean,
            f"{name}.basis": self.basis.astype(np.float16),
            f"{name}.spread": self.spread,
            f"{name}.weights": self.weights,
            f"{name}.per_byte": np.array(self.per_byte, dtype=np.uint8),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], name: str) -> TransformCode:
        """The inverse of `to_tensors`; KeyError where an array is missing."""
        return cls(
            mean=tensors[f"{name}.mean"],
            basis=tensors[f"{name}.basis"].astype(np.float32),
            spread=tensors[f"{name}.spread"],
            weights=tensors[f"{name}.weights"],
            per_byte=tuple(tensors[f"{name}.per_byte"].tolist()),
        )


def _least_error(variances: NDArray[np.float64], *, size: int) -> tuple[int, ...]:
    """How many dimensions each of `size` bytes holds for the least squared error, by dynamic programming.

    `variances` [D] come greatest first, so the first bytes hold the fewest.
    """
    n = len(variances)
    sums = np.concatenate([[0], np.cumsum(variances)])
    # lost[i]: the least error of the first i dimensions in the bytes so far, and how those are shared out.
    lost: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for _ in range(size):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for start, (error, shared) in lost.items():
            for count, levels in _LEVELS.items():
                end = min(start + count, n)
                more = error + (sums[end] - sums[start]) * _distortion(levels)
                if end not in longer or more < longer[end][0]:
                    longer[end] = (more, (*shared, count))
        lost = longer
    return min(lost.items(), key=lambda item: item[1][0] + sums[n] - sums[item[0]])[1][1]


@lru_cache
def _levels(count: int) -> FloatArray:
    """The `count` levels that lose least of a standard normal distribution, float32 [count], ascending."""
    normal = NormalDist()
    levels = np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])
    for _ in range(300):
        # Each level moves to the mean of what is rounded to it.
        bounds = [-np.inf, *((levels[1:] + levels[:-1]) / 2).tolist(), np.inf]
        density = np.array([0.0 if np.isinf(bound) else normal.pdf(bound) for bound in bounds])
        below = np.array([normal.cdf(bound) for bound in bounds])
        levels = (density[:-1] - density[1:]) / (below[1:] - below[:-1])
    return levels.astype(np.float32)


def _distortion(levels: int) -> float:
    """What rounding to so many levels loses of the variance, in [0, 1]: it keeps that of the levels themselves."""
    values = _levels(levels).astype(np.float64)
    normal, bounds = NormalDist(), (values[1:] + values[:-1]) / 2
    below = np.array([0, *(normal.cdf(bound) for bound in bounds), 1])
    return float(1 - (values**2 * np.diff(below)).sum())


@lru_cache
def _table(count: int) -> FloatArray:
    """What a byte of `count` dimensions stands for, float32 [256, count]."""
    levels = _levels(_LEVELS[count])
    digits = np.arange(256)[:, None] // len(levels) ** np.arange(count) % len(levels)
    table: FloatArray = levels[digits]
    return table
