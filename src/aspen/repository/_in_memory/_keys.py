"""The keys of an in-memory store."""

from __future__ import annotations

from collections.abc import Mapping

from aspen.repository.values import KeyStamp

_Bodies = dict[tuple[str, str], dict[int, bytes]]
"""By the identity of their stamp, then by seq."""


class Keys:
    """Keys and head keys of any number of stamps. No memory has head keys of a stamp without a key of it."""

    def __init__(self) -> None:
        self._keys: _Bodies = {}
        self._head_keys: _Bodies = {}

    def of(self, stamp: KeyStamp | None) -> Mapping[int, bytes]:
        """The keys of a stamp by seq."""
        return self._keys.get(stamp.identity, {}) if stamp else {}

    def heads_of(self, stamp: KeyStamp | None) -> Mapping[int, bytes]:
        """The head keys of a stamp by seq."""
        return self._head_keys.get(stamp.identity, {}) if stamp else {}

    def length(self, stamp: KeyStamp | None) -> int | None:
        """Bytes of each key of a stamp, None while there is none."""
        return next((len(body) for body in self.of(stamp).values()), None)

    def put(self, stamp: KeyStamp, keys: Mapping[int, bytes], head_keys: Mapping[int, bytes]) -> None:
        """Add or replace keys and head keys."""
        self._keys.setdefault(stamp.identity, {}).update(keys)
        self._head_keys.setdefault(stamp.identity, {}).update(head_keys)

    def forget(self, seq: int) -> None:
        """Drop the keys of a memory, of every stamp."""
        for bodies in (*self._keys.values(), *self._head_keys.values()):
            bodies.pop(seq, None)

    def keep_only(self, stamp: KeyStamp) -> bool:
        """Drop the keys of all other stamps; False if there were none."""
        others = [bodies for identity, bodies in self._keys.items() if identity != stamp.identity]
        self._keys = {stamp.identity: dict(self.of(stamp))}
        self._head_keys = {stamp.identity: dict(self.heads_of(stamp))}
        return any(others)

    def size(self) -> int:
        """Bytes of all keys."""
        parts = (*self._keys.values(), *self._head_keys.values())
        return sum(len(body) for bodies in parts for body in bodies.values())
