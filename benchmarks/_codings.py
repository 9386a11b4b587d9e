"""The codings that `compression.py` compares. The product has one of them, the transform code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.transform_code import TransformCode
from aspen.types import FloatArray

_CENTROIDS = 256
_ROUNDS = 15
"""Of k-means; more move nothing."""


@dataclass(frozen=True)
class Coding(TransformCode):
    """A coding of vectors [n, D] in the place of a transform code: its coefficients are the vectors themselves.

    This one keeps them as float32.
    """

    @property
    def size(self) -> int:
        return 4 * self.width

    @property
    def width(self) -> int:
        """D."""
        return len(self.spread)

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        return _bytes(vectors.astype("<f4"))

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        return np.ascontiguousarray(codes).view("<f4").astype(np.float32)

    def coefficients(self, codes: NDArray[np.uint8]) -> FloatArray:
        return self.decode(codes)


def like(kind: type[Coding], width: int, **more: Any) -> Coding:
    """A coding of vectors of `width` dimensions."""
    ones = np.ones(width, dtype=np.float32)
    return kind(np.zeros_like(ones), np.eye(width, dtype=np.float32), ones, ones, (), **more)


@dataclass(frozen=True)
class Half(Coding):
    """float16, with a float32 scale: a massive activation would overflow."""

    @property
    def size(self) -> int:
        return 4 + 2 * self.width

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        scales = _scales(vectors, 1.0)
        return np.concatenate([_bytes(scales), _bytes((vectors / scales).astype("<f2"))], axis=1)

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        values = np.ascontiguousarray(codes[:, 4:]).view("<f2").astype(np.float32)
        return np.asarray(values * np.ascontiguousarray(codes[:, :4]).view("<f4"), dtype=np.float32)


@dataclass(frozen=True)
class Integers(Coding):
    """Symmetric integers of `bits` and a float32 scale; of one bit, signs and the mean absolute value."""

    bits: int = 8

    @property
    def size(self) -> int:
        return 4 + -(-self.width * self.bits // 8)

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        if self.bits == 1:
            scales = np.abs(vectors).mean(axis=1, keepdims=True).astype("<f4")
            return np.concatenate([_bytes(scales), np.packbits(vectors >= 0, axis=1)], axis=1)
        top = 2 ** (self.bits - 1) - 1
        scales = _scales(vectors, top)
        values = (np.rint(vectors / scales) + top).astype(np.uint8)
        digits = np.unpackbits(values[..., None], axis=2)[..., 8 - self.bits :]
        return np.concatenate([_bytes(scales), np.packbits(digits.reshape(len(values), -1), axis=1)], axis=1)

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        scales = np.ascontiguousarray(codes[:, :4]).view("<f4")
        digits = np.unpackbits(codes[:, 4:], axis=1)[:, : self.width * self.bits]
        if self.bits == 1:
            return np.asarray((digits * np.float32(2) - 1) * scales, dtype=np.float32)
        alone = np.pad(
            digits.reshape(len(codes), self.width, self.bits), ((0, 0), (0, 0), (8 - self.bits, 0))
        )
        values = np.packbits(alone, axis=2)[..., 0].astype(np.float32)
        return np.asarray((values - (2 ** (self.bits - 1) - 1)) * scales, dtype=np.float32)


@dataclass(frozen=True)
class Whitened(Coding):
    """Another coding of the coefficients of a transform code, which are uncorrelated and of one spread."""

    turned: TransformCode | None = None
    inner: Coding | None = None

    @classmethod
    def of(cls, turned: TransformCode, kind: type[Coding], **more: Any) -> Coding:
        """`kind` of the coefficients of `turned`."""
        inner = like(kind, len(turned.spread), **more)
        return like(cls, len(turned.mean), turned=turned, inner=inner)

    @property
    def size(self) -> int:
        return self.inner.size if self.inner else 0

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        assert self.turned and self.inner
        return self.inner.encode(self.turned.analyse(vectors))

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        assert self.turned and self.inner
        return np.asarray(
            self.inner.decode(codes) @ self.turned.synthesis + self.turned.centre, dtype=np.float32
        )


@dataclass(frozen=True)
class Quantised(Coding):
    """Product quantisation (Jegou et al. 2011): a byte for each group of dimensions, the nearest of 256 centroids.

    With `gain` a float16 in front: the root mean square, by which vectors are divided.
    """

    groups: tuple[NDArray[np.int64], ...] = ()
    centroids: tuple[FloatArray, ...] = ()
    gain: bool = False

    @property
    def size(self) -> int:
        return len(self.groups) + 2 * self.gain

    def encode(self, vectors: FloatArray) -> NDArray[np.uint8]:
        gains = np.sqrt((vectors**2).mean(axis=1, keepdims=True)) + 1e-4 if self.gain else np.ones((1, 1))
        kept = gains.astype("<f2")
        shapes = vectors / kept.astype(np.float32)
        codes = [_nearest(shapes[:, g], c) for g, c in zip(self.groups, self.centroids, strict=True)]
        body = np.stack(codes, axis=1).astype(np.uint8)
        return np.concatenate([_bytes(kept), body], axis=1) if self.gain else body

    def decode(self, codes: NDArray[np.uint8]) -> FloatArray:
        body = codes[:, 2 * self.gain :]
        found = np.zeros((len(codes), self.width), dtype=np.float32)
        for column, (group, centroids) in enumerate(zip(self.groups, self.centroids, strict=True)):
            found[:, group] = centroids[body[:, column]]
        if self.gain:
            found *= np.ascontiguousarray(codes[:, :2]).view("<f2").astype(np.float32)
        return found


def product_quantised(sample: FloatArray, *, size: int) -> dict[str, Any]:
    """Groups of neighbouring dimensions and their centroids, by k-means on a sample [n, D]."""
    groups = tuple(np.array_split(np.arange(sample.shape[1]), size))
    return {"groups": groups, "centroids": tuple(_k_means(sample[:, group]) for group in groups)}


def normally_quantised(dims: int, *, size: int) -> dict[str, Any]:
    """The same for dimensions that are normal and independent: groups of equal length share centroids."""
    groups = tuple(np.array_split(np.arange(dims), size))
    return {"groups": groups, "centroids": tuple(_of_normal(len(group)) for group in groups), "gain": True}


@cache
def _of_normal(dims: int) -> FloatArray:
    return _k_means(np.random.default_rng(0).standard_normal((20_000, dims)).astype(np.float32))


class OtherKeys(KeyCode):
    """Keys whose layers are coded in another way: no gain of their own."""

    @property
    def size(self) -> int:
        return sum(code.size for code in self.layers)

    def encode(self, pooled: FloatArray) -> bytes:
        layers = zip(pooled, self.layers, strict=True)
        return b"".join(code.encode(vector[None]).tobytes() for vector, code in layers)

    def coefficients(self, keys: NDArray[np.uint8]) -> list[FloatArray]:
        ends = np.cumsum([code.size for code in self.layers])
        return [
            code.coefficients(keys[:, end - code.size : end])
            if len(keys)
            else np.zeros((0, len(code.spread)), dtype=np.float32)
            for code, end in zip(self.layers, ends, strict=True)
        ]


class Packed(OtherKeys):
    """Keys that would be stored deflated: their size differs from memory to memory. Here they keep their length."""


def low_rank(code: TransformCode, dims: int) -> TransformCode:
    """The first directions, and the coefficients as they are: most of them small, so that they deflate well."""
    ones = np.ones(dims, dtype=np.float32)
    return replace(code, basis=code.basis[:, :dims], spread=ones, per_byte=())


def with_dims_per_byte(code: TransformCode, per_byte: int) -> TransformCode:
    """The same directions, with so many of them in a byte."""
    return replace(code, per_byte=(per_byte,) * -(-len(code.spread) // per_byte))


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8)


def _scales(vectors: FloatArray, top: float) -> FloatArray:
    scales = np.maximum(np.abs(vectors).max(axis=1, keepdims=True) / top, 1e-30)
    return np.asarray(scales, dtype="<f4")


def _nearest(vectors: FloatArray, centroids: FloatArray) -> NDArray[np.int64]:
    found: NDArray[np.int64] = (vectors @ centroids.T - (centroids**2).sum(axis=1) / 2).argmax(axis=1)
    return found


def _k_means(vectors: FloatArray) -> FloatArray:
    random = np.random.default_rng(0)
    centroids = vectors[random.choice(len(vectors), _CENTROIDS, replace=len(vectors) < _CENTROIDS)]
    for _ in range(_ROUNDS):
        nearest = _nearest(vectors, centroids)
        counts = np.bincount(nearest, minlength=_CENTROIDS)[:, None]
        columns = [np.bincount(nearest, weights=column, minlength=_CENTROIDS) for column in vectors.T]
        sums = np.stack(columns, axis=1)
        centroids = np.where(counts, sums / np.maximum(counts, 1), centroids).astype(np.float32)
    return centroids


def cosine(one: FloatArray, other: FloatArray) -> float:
    """Mean cosine of vectors [..., D]."""
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return round(float(((one * other).sum(axis=-1) / (norms + 1e-12)).mean()), 4)
