"""The words of the memories of an in-memory store."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from aspen.repository.values import Postings


class Terms:
    """The positions of each term, by seq."""

    def __init__(self) -> None:
        self._positions: dict[int, dict[str, list[int]]] = {}

    def add(self, seq: int, terms: Sequence[str]) -> None:
        """Keep the terms of a memory."""
        own: dict[str, list[int]] = {}
        for position, term in enumerate(terms):
            own.setdefault(term, []).append(position)
        self._positions[seq] = own

    def forget(self, seq: int) -> None:
        """Drop those of a memory."""
        del self._positions[seq]

    def of(self, seq: int) -> Collection[str]:
        """The terms of a memory, each once."""
        return self._positions[seq].keys()

    def count(self, seq: int) -> int:
        """Number of terms of a memory, repeats included."""
        return sum(map(len, self._positions[seq].values()))

    def postings(self, term: str) -> Postings:
        """Every place of a term, in ascending order."""
        found = [
            (seq, position) for seq, own in sorted(self._positions.items()) for position in own.get(term, ())
        ]
        return Postings(
            seqs=np.array([seq for seq, _ in found], dtype=np.int64),
            positions=np.array([position for _, position in found], dtype=np.int32),
        )

    def size(self) -> int:
        """Bytes of all terms and positions."""
        return sum(
            len(term.encode()) + 8 + 4 * len(positions)
            for own in self._positions.values()
            for term, positions in own.items()
        )
