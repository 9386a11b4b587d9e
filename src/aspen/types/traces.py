"""What is recorded of an inference: tokens, how they came into the cache, seed, settings, and activations.

Shapes use `L` layers (transformer blocks), `T` tokens, `D` width of the residual stream, `H` attention heads,
`V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aspen.types.arrays import FloatArray, TokenIds


class TraceLevel(StrEnum):
    """How much of the activations a trace keeps. At every level it keeps the digests of the exact ones."""

    POOLED = "pooled"  # per layer, the mean over the prompt's and over the reply's tokens, fp16
    INT8 = "int8"  # every layer and token, int8 with one scale per layer and token
    FP16 = "fp16"  # every layer and token, half precision


class Role(StrEnum):
    """Who speaks in a message of a chat template."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as a chat template takes it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A named part of a prompt: the tokens `start` to `stop` (exclusive)."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Pass:
    """How a piece of a prompt came into the cache: `tokens` >= 1 of it, in one forward pass.

    Or, where `fragment` is the SHA-256 of a KV fragment, put there as such, without running.
    """

    tokens: int
    fragment: str | None = None


@dataclass(frozen=True, slots=True)
class Injection:
    """How memories were fed back for one reply.

    strategy: what was done; asked: what was asked for, which differs where a strategy chose another or fell back on it;
    reason: why, in one sentence; memory_ids: memories whose content reached the model; trace_ids: traces that did;
    tokens: how many tokens of the prompt are theirs; figures: what was measured on the way, by name; best: which of
    `memory_ids`, whose order is that of what was told, scored best in the recall; None where that is not known.
    """

    strategy: str
    asked: str
    reason: str = ""
    memory_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    tokens: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    best: str | None = None


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """How the next token is drawn from the logits.

    `temperature` >= 0, where 0 takes the most likely token; `top_k` >= 0, where 0 keeps every token; `top_p` in
    (0, 1]; `repetition_penalty` >= 1 divides the positive logits of tokens that occurred already, and multiplies the
    negative ones (Keskar et al. 2019, CTRL).
    """

    temperature: float = 0.2
    top_k: int = 0
    top_p: float = 0.9
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All that decides, beside the seed, whether a replay can be bit-equal. Hashes are SHA-256 in hex."""

    runtime: str
    architecture: str
    weights: str
    tokenizer: str
    chat_template: str
    dtype: str
    quantisation: str
    attention: str
    device: str
    threads: int
    libraries: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_id(self) -> str:
        """Identity of weights and tokenizer: activations with the same `model_id` may be compared."""
        return f"{self.weights[:16]}-{self.tokenizer[:8]}"


@dataclass(frozen=True, slots=True)
class AttentionSummary:
    """Where the reply looked: R reply tokens that were fed back, S segments, K strongest positions.

    mass: float16 [L, H, R, S], the attention mass on each segment, in [0, 1]; all 0 in blocks whose attention
        the runtime cannot give.
    top_positions: int32 [L, H, R, K], strongest first; -1 where fewer than K tokens were visible.
    top_mass: float16 [L, H, R, K], the mass at those positions.
    """

    segments: tuple[str, ...]
    mass: NDArray[np.float16]
    top_positions: NDArray[np.int32]
    top_mass: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class PooledActivations:
    """Means over tokens, the first token (the attention sink) left out; float32 [L + 1, D] each.

    Layer 0 is the embedding, layer k the residual stream after block k. Zeros where no token is left: a reply
    of one token was never fed back to the model.
    """

    prompt: FloatArray
    reply: FloatArray


@dataclass(frozen=True, slots=True)
class Trace:
    """One inference as it happened.

    `token_ids` holds the prompt, then every sampled token. The last sampled token was never fed back to the
    model, so activations cover the first T - 1 tokens. `hidden_states` is float32 [L + 1, T - 1, D], or None
    where the level keeps only the pooled vectors. `finish_reason` is "stop" or "length". `digest` is the SHA-256 of
    the exact activations and `state_digests`, uint32 [L + 1, T - 1], has a short digest per layer and token, so that a
    replay can name where it parts (see `aspen.activation_logger.digest`). `segments` cover all T - 1 tokens.
    `passes` say how the prompt was cut into forward passes, for floating-point sums depend on it; tokens that came in
    as KV fragments never ran, and their activations are zeros. `injection` tells how memories were fed back, None where
    they were not.
    """

    id: str
    conversation: str | None
    speaker: str | None
    created_at: datetime
    prompt: str
    reply: str
    token_ids: TokenIds
    prompt_length: int
    segments: tuple[Segment, ...]
    seed: int
    sampler: SamplerSettings
    max_tokens: int
    finish_reason: str
    fingerprint: Fingerprint
    level: TraceLevel
    digest: str
    state_digests: NDArray[np.uint32]
    pooled: PooledActivations
    attention: AttentionSummary
    passes: tuple[Pass, ...]
    injection: Injection | None = None
    hidden_states: FloatArray | None = None
