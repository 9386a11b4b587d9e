"""Makes keys of texts with one model: tokenise, partial forward pass, pool."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from aspen.activation_db.calibration import Calibration
from aspen.activation_db.capture import capture_pooled
from aspen.activation_db.keys import MAX_KEY_TOKENS, KeyRecipe, check_finite, encode_key, pool
from aspen.models import LanguageModel
from aspen.types import FloatArray, PartialPass


@dataclass(frozen=True, slots=True)
class EncodedText:
    """An encoded key, and the tokens of the whole text (the key is made of the first MAX_KEY_TOKENS)."""

    key: bytes
    token_count: int


class KeyEncoder:
    """Keys of memories and of prompts."""

    def __init__(self, model: LanguageModel, *, recipe: KeyRecipe, calibration: Calibration) -> None:
        self._model = model
        self._recipe = recipe
        self._calibration = calibration

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Keys of memories, in the order given; texts of like length share a forward pass."""
        token_ids = [self._model.tokenize(text) for text in texts]
        pooled = capture_pooled(
            self._model,
            [ids[:MAX_KEY_TOKENS] for ids in token_ids],
            recipe=self._recipe,
            token_weights=self._calibration.token_weights,
        )
        return [
            EncodedText(encode_key(vectors), len(ids)) for vectors, ids in zip(pooled, token_ids, strict=True)
        ]

    def encode_prompt(self, text: str) -> tuple[FloatArray, PartialPass]:
        """Pooled vectors [K, D] of a prompt, and what the pass cost. Of a long prompt the end counts."""
        token_ids = self._model.tokenize(text)[-MAX_KEY_TOKENS:]
        started = time.perf_counter()
        (hidden_states,) = self._model.capture([token_ids], layers=self._recipe.layers)
        seconds = time.perf_counter() - started
        pooled = pool(hidden_states, token_ids, token_weights=self._calibration.token_weights)
        check_finite(pooled)
        depth = max(self._recipe.layers)
        return pooled, PartialPass(depth, self._model.info.n_layers, len(token_ids), seconds)
