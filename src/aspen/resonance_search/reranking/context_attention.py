"""How much attention a prompt pays to a memory that it is read after: both run through the model as one text.

Head match (`aspen.activation_db.head_keys`) compares what was stored of a memory with a prompt that never saw it. Here
the prompt's tokens read the memory, so that what they attend to in later blocks already knows what it says. It costs a
partial forward pass over both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aspen.activation_db import captures
from aspen.activation_db.head_keys import capped, rotated
from aspen.models import Captured, HeadRef, LanguageModel
from aspen.types import FloatArray

_BEFORE, _BETWEEN = "Memory:", "\nQuestion:"
_MEMORY_TOKENS, _PROMPT_TOKENS = 256, 128
"""Of a longer memory the beginning is read, of a longer prompt the end; less of both where the context is small."""


class ContextAttention:
    """Attention of some heads of one model; ModelError where its heads cannot be told apart."""

    def __init__(self, model: LanguageModel, heads: Sequence[HeadRef]) -> None:
        self._model = model
        self._heads = tuple(heads)
        key_heads = model.info.key_heads(heads)
        self._key_rows = np.array([key_heads.index(model.info.key_head(ref)) for ref in heads])
        blocks = np.array([ref.block for ref in heads])
        self._blocks = [
            (model.head_attention(block), np.flatnonzero(blocks == block))
            for block in dict.fromkeys(blocks.tolist())
        ]
        self._before, self._between = (model.tokenize(text) for text in (_BEFORE, _BETWEEN))
        room = model.info.context_length - len(self._before) - len(self._between)
        self._memory_tokens, self._prompt_tokens = _limits(room)

    def masses(self, prompt: str, memories: Sequence[str]) -> FloatArray:
        """Share of attention on each memory's tokens, from 0 to 1: float32 [n, 2, heads].

        [:, 0] is the mean over the prompt's tokens; [:, 1] that over the tokens before it, "Question:", which do not
        know the prompt yet: what every prompt pays to this memory.
        """
        asked = self._model.tokenize(f" {prompt}")[-self._prompt_tokens :]
        told = [self._model.tokenize(f" {memory}")[: self._memory_tokens] for memory in memories]
        batch = [np.concatenate([self._before, ids, self._between, asked]) for ids in told]
        masses = np.zeros((len(memories), 2, len(self._heads)), dtype=np.float32)
        for i, captured in captures(self._model, batch, layers=[0], heads=self._heads):
            masses[i] = self._mass(captured, n_memory=len(told[i]))
        return masses

    def _mass(self, captured: Captured, *, n_memory: int) -> FloatArray:
        """Of one text, float32 [2, heads]."""
        begin = len(self._before)
        end, n_tokens = begin + n_memory, captured.keys.shape[1]
        positions = np.arange(n_tokens)
        later = positions[None] > positions[end:, None]
        mass = np.empty((2, len(self._heads)), dtype=np.float32)
        for attention, rows in self._blocks:
            queries = rotated(captured.queries[rows, end:], positions[end:], attention=attention)
            key_rows, of_query = np.unique(self._key_rows[rows], return_inverse=True)
            keys = rotated(captured.keys[key_rows], positions, attention=attention)[of_query]
            logits = queries @ keys.transpose(0, 2, 1) * np.float32(attention.scale)
            logits = capped(logits, attention=attention)
            logits[:, later] = -np.inf
            weights = np.exp(logits - logits.max(axis=2, keepdims=True))
            on_memory = weights[:, :, begin:end].sum(axis=2)
            shares = on_memory / weights.sum(axis=2)  # [heads, tokens after the memory]
            mass[0, rows] = shares[:, len(self._between) :].mean(axis=1)
            mass[1, rows] = shares[:, : len(self._between)].mean(axis=1)
        return mass


def _limits(room: int) -> tuple[int, int]:
    """Most tokens of a memory and of a prompt, where `room` tokens are left for both: at least one of each."""
    full = _MEMORY_TOKENS + _PROMPT_TOKENS
    prompt = max(min(room, full) * _PROMPT_TOKENS // full, 1)
    return max(min(room - prompt, _MEMORY_TOKENS), 1), prompt
