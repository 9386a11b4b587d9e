"""Partial forward passes over many texts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from aspen.activation_db.keys import KeyRecipe, pool
from aspen.models import Captured, HeadRef, LanguageModel
from aspen.types import FloatArray, TokenIds

_MOST_TOKENS = 1024
"""Tokens in one pass, padding included: bounds memory, and larger passes are no faster on a processor."""


def captures(
    model: LanguageModel, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef] = ()
) -> Iterator[tuple[int, Captured]]:
    """What one pass keeps of each text, with its position in the batch. Texts of like length come together."""
    for group in _groups([len(ids) for ids in batch]):
        captured = model.capture_with_heads([batch[i] for i in group], layers=layers, heads=heads)
        yield from zip(group, captured, strict=True)


def capture_pooled(
    model: LanguageModel,
    batch: Sequence[TokenIds],
    *,
    recipe: KeyRecipe,
    token_weights: FloatArray,
    heads: Sequence[HeadRef] = (),
    see: Callable[[int, Captured], None] = lambda position, captured: None,
) -> FloatArray:
    """Pooled vectors of many texts, float32 [n, K, D], in the order given. `see` gets each capture as it is made."""
    pooled = np.zeros((len(batch), len(recipe.layers), recipe.width), dtype=np.float32)
    for i, captured in captures(model, batch, layers=recipe.layers, heads=heads):
        see(i, captured)
        pooled[i] = pool(captured.hidden_states, batch[i], token_weights=token_weights)
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
