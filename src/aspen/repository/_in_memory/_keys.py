"""What an in-memory store keeps by stamp: keys, head keys, traits and KV fragments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from aspen.repository.values import KeyStamp

_Value = TypeVar("_Value")
_Traits = Mapping[str, float]
_Fragments = Mapping[str, bytes]

_ROW = 16
"""Bytes that count for a trait beside its name."""


class Keys:
    """Keys, head keys, traits and fragments of any number of stamps.

    No memory has head keys, traits or fragments of a stamp without a key of it.
    """

    def __init__(self) -> None:
        self._keys = _ByStamp[bytes]()
        self._head_keys = _ByStamp[bytes]()
        self._traits = _ByStamp[_Traits]()
        self._fragments = _ByStamp[_Fragments]()

    def of(self, stamp: KeyStamp | None) -> Mapping[int, bytes]:
        """The keys of a stamp by seq."""
        return self._keys.of(stamp)

    def heads_of(self, stamp: KeyStamp | None) -> Mapping[int, bytes]:
        """The head keys of a stamp by seq."""
        return self._head_keys.of(stamp)

    def traits_of(self, stamp: KeyStamp | None) -> Mapping[int, _Traits]:
        """The traits of a stamp by seq, of those memories that have any."""
        return self._traits.of(stamp)

    def fragments_of(self, stamp: KeyStamp | None) -> Mapping[int, _Fragments]:
        """The fragments of a stamp by seq and name, of those memories that have any."""
        return self._fragments.of(stamp)

    def length(self, stamp: KeyStamp | None) -> int | None:
        """Bytes of each key of a stamp, None while there is none."""
        return next((len(body) for body in self.of(stamp).values()), None)

    def put(
        self,
        stamp: KeyStamp,
        keys: Mapping[int, bytes],
        *,
        head_keys: Mapping[int, bytes],
        traits: Mapping[int, _Traits],
    ) -> None:
        """Add or replace keys, head keys and traits."""
        self._keys.put(stamp, keys)
        self._head_keys.put(stamp, head_keys)
        self._traits.put(stamp, {seq: dict(own) for seq, own in traits.items()})

    def put_fragment(self, stamp: KeyStamp, seq: int, *, name: str, body: bytes) -> None:
        """Add or replace a fragment."""
        self._fragments.put(stamp, {seq: {**self.fragments_of(stamp).get(seq, {}), name: body}})

    def forget(self, seq: int) -> None:
        """Drop those of a memory, of every stamp."""
        for part in (self._keys, self._head_keys, self._traits, self._fragments):
            part.forget(seq)

    def keep_only(self, stamp: KeyStamp) -> bool:
        """Drop those of all other stamps; False if there were none."""
        self._head_keys.keep_only(stamp)
        self._traits.keep_only(stamp)
        self._fragments.keep_only(stamp)
        return self._keys.keep_only(stamp)

    def size(self) -> int:
        """Bytes of all keys and head keys."""
        return sum(map(len, self._keys.everything() + self._head_keys.everything()))

    def fragments_size(self) -> int:
        """Bytes of all fragments."""
        return sum(len(body) for own in self._fragments.everything() for body in own.values())

    def traits_size(self) -> int:
        """Bytes of all traits."""
        return sum(len(name.encode()) + _ROW for own in self._traits.everything() for name in own)


class _ByStamp(Generic[_Value]):
    """Values by the identity of their stamp, then by seq."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[int, _Value]] = {}

    def of(self, stamp: KeyStamp | None) -> Mapping[int, _Value]:
        return self._values.get(stamp.identity, {}) if stamp else {}

    def put(self, stamp: KeyStamp, values: Mapping[int, _Value]) -> None:
        self._values.setdefault(stamp.identity, {}).update(values)

    def forget(self, seq: int) -> None:
        for own in self._values.values():
            own.pop(seq, None)

    def keep_only(self, stamp: KeyStamp) -> bool:
        others = [own for identity, own in self._values.items() if identity != stamp.identity]
        self._values = {stamp.identity: dict(self.of(stamp))}
        return any(others)

    def everything(self) -> list[_Value]:
        return [value for own in self._values.values() for value in own.values()]
