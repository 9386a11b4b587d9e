"""Makes keys of texts with one model: tokenise, partial forward pass, pool; and, out of the same pass, head keys."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aspen.activation_db.calibration import Calibration
from aspen.activation_db.capture import captures
from aspen.activation_db.head_keys import encode_head_keys
from aspen.activation_db.head_set import PromptHeads
from aspen.activation_db.key_code import KeyCode
from aspen.activation_db.keys import MAX_KEY_TOKENS, KeyRecipe, check_finite, pool
from aspen.activation_db.trait_probe import TRAITS
from aspen.models import Captured, HeadRef, LanguageModel
from aspen.types import FloatArray, PartialPass, TokenIds

_FAINT = 0.3
"""A trait that is less likely than this is not kept."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """An encoded key, and the tokens of the whole text (the key is made of the first MAX_KEY_TOKENS).

    head_keys: what `head_match` reads, of the same tokens; None where the model's heads are not used. traits: what
    kind of statement it is, strengths in [_FAINT, 1] by name.
    """

    key: bytes
    token_count: int
    head_keys: bytes | None = None
    traits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Pooled vectors of a prompt, float32 [K, D], and what its heads ask; None where the heads are not used."""

    pooled: FloatArray
    heads: PromptHeads | None


class KeyEncoder:
    """Keys of memories and of prompts."""

    def __init__(self, model: LanguageModel, *, recipe: KeyRecipe, calibration: Calibration) -> None:
        self._model = model
        self._recipe = recipe
        self._calibration = calibration

    @property
    def heads(self) -> tuple[HeadRef, ...]:
        """The heads whose keys and queries are kept; empty where the model's heads are not used."""
        return self._calibration.heads.heads if self._calibration.heads else ()

    @property
    def key_code(self) -> KeyCode:
        """How keys are stored."""
        return self._calibration.key_code

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Keys of memories, in the order given; texts of like length share a forward pass."""
        token_ids = [self._model.tokenize(text) for text in texts]
        begun = [ids[:MAX_KEY_TOKENS] for ids in token_ids]
        encoded: dict[int, EncodedText] = {}
        heads = self._calibration.heads
        for i, captured in captures(self._model, begun, layers=self._recipe.layers, heads=self.heads):
            pooled = self._pooled(captured, begun[i])
            encoded[i] = EncodedText(
                key=self.key_code.encode(pooled),
                token_count=len(token_ids[i]),
                head_keys=encode_head_keys(captured.keys, heads=heads) if heads else None,
                traits=self._traits(pooled),
            )
        return [encoded[i] for i in range(len(texts))]

    def encode_query(self, text: str) -> tuple[EncodedPrompt, PartialPass]:
        """What a prompt is searched by, and what the pass cost. Of a long prompt the end counts."""
        token_ids = self._model.tokenize(text)[-MAX_KEY_TOKENS:]
        started = time.perf_counter()
        (captured,) = self._model.capture_with_heads(
            [token_ids], layers=self._recipe.layers, heads=self.heads
        )
        seconds = time.perf_counter() - started
        prompt = EncodedPrompt(
            pooled=check_finite(self._pooled(captured, token_ids)),
            heads=PromptHeads(captured.queries, captured.keys) if self.heads else None,
        )
        depth = max([*self._recipe.layers, *(ref.block for ref in self.heads)])
        return prompt, PartialPass(depth, self._model.info.n_layers, len(token_ids), seconds)

    def _traits(self, pooled: FloatArray) -> dict[str, float]:
        strengths = self._calibration.probe.strengths(pooled[None])[0].tolist()
        return {name: value for name, value in zip(TRAITS, strengths, strict=True) if value >= _FAINT}

    def _pooled(self, captured: Captured, token_ids: TokenIds) -> FloatArray:
        return pool(captured.hidden_states, token_ids, token_weights=self._calibration.token_weights)
