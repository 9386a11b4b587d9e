"""How queries and keys meet in each block: measured in one pass over a few tokens, up to the last block's attention."""

from __future__ import annotations

from functools import partial

import numpy as np

from aspen.errors import ModelError
from aspen.models._llama_cpp.graph import strided
from aspen.models._llama_cpp.heads import measure_rotary
from aspen.models._llama_cpp.session import Parts
from aspen.models.heads import HeadAttention, Rotary
from aspen.types import FloatArray

_TOKENS = 24
"""Enough for the frequencies of rotary embedding to be measured to a part in 10 million."""


def measure_attention(parts: Parts) -> tuple[HeadAttention, ...]:
    """Of each block. ModelError where queries or keys are changed by more than a rotation and a factor."""
    places = parts.places_for(_TOKENS)
    wanted = {*places.queries, *places.keys, *places.rotated_queries, *places.rotated_keys}
    seen: dict[int, FloatArray] = {}

    def keep(place: int, tensor: int) -> None:
        flat = strided(tensor, library=parts.library)
        seen[place] = parts.layout.ours(flat.reshape(_TOKENS, -1, parts.head_dim))

    ids = np.arange(_TOKENS, dtype=np.int32) % parts.info.vocab_size
    with parts.pool.lent(_TOKENS, watched=True) as context, parts.lock:
        take = {place: partial(keep, place) for place in sorted(wanted)}
        context.run(ids, start=0, outputs=1, take=take, names=places.names, stop=True)
    found = []
    for block, attention in enumerate(places.attention):
        of_queries, of_keys = (
            _rotary(seen[before[block]], seen[after[block]], parts=parts)
            for before, after in (
                (places.queries, places.rotated_queries),
                (places.keys, places.rotated_keys),
            )
        )
        if (of_queries is None) != (of_keys is None):
            raise ModelError(
                f"Queries of block {block} are rotated and keys are not, or the other way round."
            )
        # Some models scale their queries behind the rotation, which is told as a part of the scale.
        scale = (
            attention.scale * of_queries.factor / of_keys.factor
            if of_queries and of_keys
            else attention.scale
        )
        found.append(HeadAttention(scale, attention.softcap, of_keys))
    return tuple(found)


def _rotary(before: FloatArray, after: FloatArray, *, parts: Parts) -> Rotary | None:
    """What turns one into the other; None where both are the same."""
    if np.array_equal(before, after):
        return None
    return measure_rotary(before, after, rotated=parts.layout.rotated)
