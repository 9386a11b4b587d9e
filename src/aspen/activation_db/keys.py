"""The activation key of a text: from captured layers to pooled vectors.

A key is what one partial forward pass leaves of a text: for each key layer, the mean of the residual stream over
the tokens, each token weighted by its inverse document frequency, the first token left out. The first token is
the attention sink of every model we know: its activations are huge and say nothing of the text.

Keys are stored before whitening, so that every later fit can be applied to them without running the model;
`key_code` says in which form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen.errors import InvalidInput
from aspen.models import ModelInfo
from aspen.types import FloatArray, TokenIds

MAX_KEY_TOKENS = 256
"""A key is made of the first 256 tokens of a text."""

# Depths and widths of the key layers as fractions of the model's, measured on SmolLM2-135M (30 layers, width 576):
# layers 0, 9, 15 whitened to 400, 192, 192 dimensions. Layers 24 and 27 besides add 0.3 points of recall@10 and
# cost almost twice the forward pass (docs/benchmarks/recall.md).
_DEPTHS = (0.0, 0.3, 0.5)
_WIDTHS = (400 / 576, 1 / 3, 1 / 3)
_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeyRecipe:
    """Which layers a key is made of, and to how many dimensions each is whitened."""

    layers: tuple[int, ...]
    dims: tuple[int, ...]
    width: int

    @property
    def version(self) -> str:
        """Which layers, pooled in which way. What makes stored keys comparable besides: `Calibration.key_version`."""
        return f"{_VERSION}:{','.join(map(str, self.layers))}"


def recipe_for(info: ModelInfo) -> KeyRecipe:
    """The recipe for a model, by its depth and width; layers that coincide in shallow models are merged."""
    widths: dict[int, int] = {}
    for depth, width in zip(_DEPTHS, _WIDTHS, strict=True):
        widths.setdefault(round(depth * info.n_layers), max(1, round(width * info.width)))
    return KeyRecipe(layers=tuple(widths), dims=tuple(widths.values()), width=info.width)


def pool(hidden_states: FloatArray, token_ids: TokenIds, *, token_weights: FloatArray) -> FloatArray:
    """Weighted mean over tokens without the first: [K, T, D] and [T] -> float32 [K, D].

    `token_weights` [V] is indexed by token id. A text of one token keeps that token: there is nothing else.
    """
    if len(token_ids) == 1:
        return hidden_states[:, 0].astype(np.float32)
    weights = token_weights[token_ids[1:]]
    pooled = np.einsum("t,ktd->kd", weights / weights.sum(), hidden_states[:, 1:])
    return np.asarray(pooled, dtype=np.float32)


def check_finite(pooled: FloatArray) -> FloatArray:
    """`pooled` itself; InvalidInput where a value is not finite: it would compare as noise with everything."""
    if not np.isfinite(pooled).all():
        raise InvalidInput(
            "The activations of this text are not finite numbers.",
            hint="The model overflows in this dtype: open it with dtype='float32'.",
        )
    return pooled
