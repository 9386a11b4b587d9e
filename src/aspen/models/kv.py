"""KV fragments: what a stretch of text left in a cache, free of the place where it stood."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen.errors import InvalidInput
from aspen.types import FloatArray, TokenIds


@dataclass(frozen=True)
class KVFragment:
    """Keys and values of n tokens in every block, keys before rotary embedding.

    token_ids: int32 [n]; keys, values: float32 [L, H_kv, n, head_dim]. The arrays are made read-only: a fragment is put
    into many caches. InvalidInput where their shapes do not fit each other.
    """

    token_ids: TokenIds
    keys: FloatArray
    values: FloatArray

    def __post_init__(self) -> None:
        n = len(self.token_ids)
        if n == 0 or self.keys.ndim != 4 or self.keys.shape != self.values.shape or self.keys.shape[2] != n:
            raise InvalidInput(
                "A KV fragment has keys and values [L, H_kv, n, head_dim] of its n >= 1 tokens, not "
                f"{list(self.keys.shape)} and {list(self.values.shape)} of {n}."
            )
        for array in (self.token_ids, self.keys, self.values):
            array.setflags(write=False)

    @classmethod
    def joined(cls, fragments: Sequence[KVFragment]) -> KVFragment:
        """One fragment of all their tokens, in order: putting it is putting them one after another, but faster.

        A cache copies all it holds when something is put. InvalidInput where they are of different models.
        """
        if len({fragment.keys.shape[::3] + fragment.keys.shape[1:2] for fragment in fragments}) != 1:
            raise InvalidInput(
                "KV fragments are joined that have different numbers of blocks, heads or dimensions."
            )
        if len(fragments) == 1:
            return fragments[0]
        return cls(
            np.concatenate([fragment.token_ids for fragment in fragments]),
            np.concatenate([fragment.keys for fragment in fragments], axis=2),
            np.concatenate([fragment.values for fragment in fragments], axis=2),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of tokens, keys and values, in hex."""
        content = hashlib.sha256(repr(self.keys.shape).encode())
        for array in (self.token_ids, self.keys, self.values):
            content.update(array.tobytes())
        return content.hexdigest()
