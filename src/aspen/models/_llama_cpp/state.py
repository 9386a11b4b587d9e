"""A KV cache as llama.cpp writes it down for one sequence: read, and made.

The layout is that of `llama_kv_cache::state_write` in the version that is `TESTED`. All that it says of itself is
checked, so that another layout is refused and not misread.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.errors import ModelError
from aspen.models._llama_cpp.c_api import FLOAT16

_MAGIC = 0xAF143CD8
_CELL = np.dtype([("position", "<i4"), ("sequences", "<u4"), ("sequence", "<i4")])


@dataclass(frozen=True, slots=True)
class CachedTokens:
    """Keys, rotated to where they stand, and values of n tokens by position: float16 [L, n, H_kv x head_dim]."""

    keys: NDArray[np.float16]
    values: NDArray[np.float16]


def read_state(state: bytes) -> CachedTokens:
    """The tokens in a state. Raises ModelError where it is laid out otherwise, or has no tokens."""
    reader = _Reader(state)
    reader.expect("magic", "<I", _MAGIC)
    reader.take("<i")
    reader.expect("number of streams", "<I", 1)
    count = reader.take("<I")
    cells = reader.array(_CELL, count)
    if not count or (cells["sequences"] != 1).any():
        raise _unlike("cells that belong to one sequence each", f"{count} others")
    reader.expect("transposed values", "<I", 0)
    n_layers = reader.take("<I")
    reader.expect("rotation of stored keys", "<I", 0)
    reader.expect("rotation of stored values", "<I", 0)
    order = np.argsort(cells["position"])
    keys, values = (np.stack([reader.rows(count)[order] for _ in range(n_layers)]) for _ in range(2))
    reader.expect_end()
    return CachedTokens(keys, values)


def make_state(cached: CachedTokens) -> bytes:
    """A state in which these tokens stand at positions 0 to n - 1, their keys rotated so."""
    n_layers, count, _ = cached.keys.shape
    cells = np.zeros(count, dtype=_CELL)
    cells["position"] = np.arange(count)
    cells["sequences"] = 1
    parts = [
        struct.pack("<IiII", _MAGIC, 0, 1, count),
        cells.tobytes(),
        struct.pack("<IIII", 0, n_layers, 0, 0),
    ]
    for blocks in (cached.keys, cached.values):
        for rows in blocks:
            parts += [struct.pack("<iQ", FLOAT16, rows.shape[1] * rows.itemsize), rows.tobytes()]
    return b"".join(parts)


class _Reader:
    def __init__(self, state: bytes) -> None:
        self._state = state
        self._at = 0

    def take(self, form: str) -> int:
        try:
            (value,) = struct.unpack_from(form, self._state, self._at)
        except struct.error as error:
            raise _unlike("more", f"an end after {len(self._state)} bytes") from error
        self._at += struct.calcsize(form)
        return int(value)

    def expect(self, what: str, form: str, expected: int) -> None:
        found = self.take(form)
        if found != expected:
            raise _unlike(f"{what} {expected}", str(found))

    def array(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        if self._at + size > len(self._state):
            raise _unlike(f"{size} bytes", f"{len(self._state) - self._at}")
        found = np.frombuffer(self._state, dtype=dtype, count=count, offset=self._at)
        self._at += size
        return found

    def rows(self, count: int) -> NDArray[np.float16]:
        """float16 [count, width] of one block."""
        self.expect("type", "<i", FLOAT16)
        width, rest = divmod(self.take("<Q"), np.dtype(np.float16).itemsize)
        if rest or not width:
            raise _unlike("rows of float16", f"rows with {rest} bytes more")
        return self.array(np.dtype(np.float16), count * width).reshape(count, width)

    def expect_end(self) -> None:
        if self._at != len(self._state):
            raise _unlike("its end", f"{len(self._state) - self._at} bytes more")


def _unlike(expected: str, found: str) -> ModelError:
    return ModelError(
        f"llama.cpp writes down a KV cache in a form that Aspen does not know: expected {expected}, got {found}.",
        hint="Give the memories as text: strategy note.",
    )
