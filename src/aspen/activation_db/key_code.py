"""How the pooled vectors of a memory are kept: a transform code for each layer, made by the calibration.

A key is stored before whitening, in the directions that the calibration text spans: a whitening that is fitted on the
store later on is a linear map of the same coefficients, and needs neither the model nor the exact vectors. The
coefficients are divided by their root mean square, which is kept beside them: a store that speaks of other matters
than the calibration text has larger ones in all directions.

The code belongs to what is stored with it: another basis makes noise of the bytes. So `version` names its digest, and
becomes part of the store's stamp. The calibration of a model that Aspen does not ship one for lies in the cache folder;
made anew on another machine, or with other threads, it may come out otherwise in the last digit, for sums are rounded
in another order. Then the stamps differ, every search says so, and `aspen rekey` puts it right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.keys import KeyRecipe, check_finite
from aspen.activation_db.moments import Moments
from aspen.activation_db.transform_code import TransformCode
from aspen.activation_db.whitening import shrunk
from aspen.errors import InvalidInput
from aspen.types import FloatArray

_PER_BYTE, _PER_BYTE_DEEPER = 3, 2
"""Coefficients in a byte, of the first layer and of those after it: six levels each, and sixteen.

The finest that makes keys 20 times smaller than float32 (docs/benchmarks/compression.md).
"""
_GAIN = np.dtype("<f2")
_LARGEST, _SMALLEST = np.finfo(_GAIN).max, np.finfo(_GAIN).tiny


@dataclass(frozen=True)
class KeyCode:
    """The codes of the K layers of a key."""

    layers: tuple[TransformCode, ...]

    @classmethod
    def fit(cls, moments: Moments, *, recipe: KeyRecipe) -> KeyCode:
        """For pooled vectors with these moments: as many directions of each layer as its whitening keeps."""
        codes = []
        for layer, dims in enumerate(recipe.dims):
            covariance = shrunk(moments.scatter[layer] / max(moments.count - 1, 1))
            per_byte = _PER_BYTE if layer == 0 else _PER_BYTE_DEEPER
            size = -(-dims // per_byte)
            codes.append(TransformCode.fit(moments.mean[layer], covariance, size=size, per_byte=per_byte))
        return cls(tuple(codes))

    @property
    def size(self) -> int:
        """Bytes of a key."""
        return sum(_GAIN.itemsize + code.size for code in self.layers)

    @cached_property
    def version(self) -> str:
        """Keys of codes of equal version can be compared: eight hexadecimal digits."""
        return hashlib.sha256(b"".join(code.digest for code in self.layers)).hexdigest()[:8]

    def encode(self, pooled: FloatArray) -> bytes:
        """Bytes of a key [K, D]: for each layer a float16, the root mean square of the coefficients, and their codes.

        InvalidInput where a value is not finite.
        """
        check_finite(pooled)
        parts = []
        for vector, code in zip(pooled, self.layers, strict=True):
            coefficients = code.analyse(vector[None])
            gain = np.sqrt(np.square(coefficients, dtype=np.float64).mean(axis=1, keepdims=True))
            kept = np.clip(gain, _SMALLEST, _LARGEST).astype(_GAIN)
            parts += [kept.tobytes(), code.quantise(coefficients / kept.astype(np.float32)).tobytes()]
        return b"".join(parts)

    def coefficients(self, keys: NDArray[np.uint8]) -> list[FloatArray]:
        """Of encoded keys, uint8 [n, bytes], the coefficients of each layer, float32 [n, d].

        InvalidInput where they are not of this size.
        """
        if len(keys) == 0:  # a store without keys hands over rows of no bytes at all
            return [np.zeros((0, len(code.spread)), dtype=np.float32) for code in self.layers]
        if keys.shape[1] != self.size:
            raise InvalidInput(
                f"A key of this calibration has {self.size} bytes, got {keys.shape[1]}.",
                hint="Let the doctor (`aspen doctor`) look at the store.",
            )
        found, start = [], 0
        for code in self.layers:
            body = start + _GAIN.itemsize
            gains = np.ascontiguousarray(keys[:, start:body]).view(_GAIN).astype(np.float32)
            start = body + code.size
            found.append(code.coefficients(keys[:, body:start]) * gains)
        return found

    def decode(self, keys: NDArray[np.uint8]) -> FloatArray:
        """Encoded keys, uint8 [n, bytes], as pooled vectors, nearly: float32 [n, K, D]."""
        layers = zip(self.coefficients(keys), self.layers, strict=True)
        return np.stack([found @ code.synthesis + code.centre for found, code in layers], axis=1)

    def moments(self, keys: NDArray[np.uint8]) -> Moments:
        """Moments of the pooled vectors of encoded keys, uint8 [n, bytes], n >= 1.

        Taken of the coefficients, which are fewer than the dimensions.
        """
        means, scatters = [], []
        for found, code in zip(self.coefficients(keys), self.layers, strict=True):
            synthesis = code.synthesis.astype(np.float64)
            mean = found.mean(axis=0, dtype=np.float64)
            deviations = (found - mean).astype(np.float32)
            # float32 products: 3 times as fast, and the error is far below that of the codes.
            means.append(code.centre + mean @ synthesis)
            scatters.append(synthesis.T @ (deviations.T @ deviations).astype(np.float64) @ synthesis)
        return Moments(float(len(keys)), np.stack(means), np.stack(scatters))

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays it consists of, by name."""
        tensors: dict[str, NDArray[Any]] = {}
        for layer, code in enumerate(self.layers):
            tensors |= code.to_tensors(f"key_code.{layer}")
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], *, n_layers: int) -> KeyCode:
        """The inverse of `to_tensors`; KeyError where an array is missing."""
        return cls(
            tuple(TransformCode.from_tensors(tensors, f"key_code.{layer}") for layer in range(n_layers))
        )
