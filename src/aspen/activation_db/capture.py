"""Partial forward passes over many texts at once, pooled on the spot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aspen.activation_db.keys import KeyRecipe, pool
from aspen.models import LanguageModel
from aspen.types import FloatArray, TokenIds

_MOST_TOKENS = 1024
"""Tokens in one pass, padding included: bounds memory, and larger passes are no faster on a processor."""


def capture_pooled(
    model: LanguageModel, batch: Sequence[TokenIds], *, recipe: KeyRecipe, token_weights: FloatArray
) -> FloatArray:
    """Pooled vectors of many texts, float32 [n, K, D], in the order given."""
    pooled = np.zeros((len(batch), len(recipe.layers), recipe.width), dtype=np.float32)
    for group in _groups([len(ids) for ids in batch]):
        captured = model.capture([batch[i] for i in group], layers=recipe.layers)
        for i, hidden_states in zip(group, captured, strict=True):
            pooled[i] = pool(hidden_states, batch[i], token_weights=token_weights)
    return pooled


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions in groups of like length, so that little is padded."""
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) + 1) * lengths[position] > _MOST_TOKENS:
            yield group
            group = []
        group.append(position)
    if group:
        yield group
