"""Numbers for nodes: from ids as a store gives them, which have gaps, to rows of arrays and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Rows = NDArray[np.int64]
Values = NDArray[np.float64]

_SPARSE = 16
"""Ids are numbered by a table, which is fastest, while it is at most so many times longer than there are ids."""
_SMALL = 1 << 16
"""A table of this length is always cheap."""


def distinct(ids: Ids) -> tuple[Ids, Rows]:
    """The distinct ones of `ids` [n], ascending, and for each of `ids` its row among them, int64 [n]."""
    if len(ids) == 0:
        return ids, np.zeros(0, dtype=np.int64)
    low, span = _range(ids)
    if not _fits_table(span, len(ids)):
        found, rows = np.unique(ids, return_inverse=True)
        return found, rows.astype(np.int64, copy=False)
    seen = np.zeros(span, dtype=np.bool_)
    seen[ids - low] = True
    found = np.flatnonzero(seen)
    table = np.empty(span, dtype=np.int64)
    table[found] = np.arange(len(found))
    return found + low, table[ids - low]


class NodeIndex:
    """Finds the rows of ids in a column `ids` [n], int64, ascending, without repeats."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self._table: NDArray[np.int32] | None = None
        if len(ids):
            self._low, span = _range(ids)
            if _fits_table(span, len(ids)):
                self._table = np.full(span, -1, dtype=np.int32)
                self._table[ids - self._low] = np.arange(len(ids), dtype=np.int32)

    def rows(self, wanted: Ids) -> Rows:
        """The row of each of `wanted` [k], int64; -1 where there is none."""
        if len(self.ids) == 0:
            return np.full(len(wanted), -1, dtype=np.int64)
        inside = (wanted >= self.ids[0]) & (wanted <= self.ids[-1])
        if self._table is not None:
            return np.where(inside, self._table[np.where(inside, wanted - self._low, 0)], -1).astype(np.int64)
        rows = np.searchsorted(self.ids, np.where(inside, wanted, self.ids[0]))
        return np.where(inside & (self.ids[rows] == wanted), rows, -1)


def sums(rows: Rows, values: Values, *, n: int) -> Values:
    """The sum of the values [m] at each of n rows, float64 [n], added in the order in which they stand."""
    return np.bincount(rows, values, minlength=n).astype(np.float64, copy=False)


def runs(starts: Rows, counts: Rows) -> Rows:
    """The rows start, start + 1, ..., `count` of them, for each pair of the two columns, one after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


def offsets_of(counts: Rows) -> Rows:
    """Where each group begins and ends: group i is rows offsets[i] to offsets[i + 1]. int64 [n + 1] for n groups."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])


def _range(ids: Ids) -> tuple[int, int]:
    """The smallest id, and how many numbers there are from it to the largest."""
    low = int(ids.min())
    return low, int(ids.max()) - low + 1


def _fits_table(span: int, n: int) -> bool:
    return span <= max(_SPARSE * n, _SMALL)
