"""The values that travel between Aspen's parts: plain, frozen, and free of behaviour.

Arrays are NumPy. Shapes use `L` layers (transformer blocks), `T` tokens, `D` width of the residual stream,
`H` attention heads, `V` vocabulary. Times are timezone-aware and in UTC; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

TokenIds = NDArray[np.int32]
"""Token ids, shape [T]."""
FloatArray = NDArray[np.float32]
Seqs = NDArray[np.int64]
"""Sequence numbers of memories in one store, shape [n]."""


class Provenance(StrEnum):
    """Where the text of a memory comes from."""

    SAID = "said"  # a person said it
    GENERATED = "generated"  # the model generated it
    IMPORTED = "imported"  # read from a file
    INFERRED = "inferred"  # concluded from other memories
    RECALLED = "recalled"  # a memory that came back and was stored again; it strengthens nothing


class MemoryType(StrEnum):
    """What kind of memory it is. Recall leans towards the first three: they say who remembers."""

    SELF = "self"  # who I am, what I am good at, what I set out to do
    BELIEF = "belief"  # what I hold to be true or right
    PATTERN = "pattern"  # what happens again and again
    EPISODIC = "episodic"  # what happened once
    SEMANTIC = "semantic"  # a fact


class Stability(StrEnum):
    """How settled a memory is."""

    TENTATIVE = "tentative"
    STABLE = "stable"
    CANONICAL = "canonical"


class RelationType(StrEnum):
    """How one memory relates to another: read "source TYPE target"."""

    SUMMARIZES = "summarizes"
    EXAMPLE_OF = "example_of"
    IS_GENERALIZATION_OF = "is_generalization_of"
    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    CAUSES = "causes"
    SIMILAR_TO = "similar_to"
    HISTORICAL_VERSION_OF = "historical_version_of"  # the source was corrected, the target is what holds
    DERIVED_FROM = "derived_from"
    NEXT = "next"  # follows in the same conversation; made by the store
    CO_ACTIVATED = "co_activated"  # used together; made and changed by use


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
class Emotion:
    """A feeling that goes with a memory; `intensity` in [0, 1]."""

    label: str
    intensity: float


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """What a caller hands in to be remembered. Equal text, speaker, time, conversation and source are one memory.

    `source` tells apart what is otherwise equal ("chat.jsonl:12"). A `said_at` without a time zone is taken as UTC.
    `importance` in [0, 1].
    """

    text: str
    speaker: str | None = None
    said_at: datetime | None = None
    conversation: str | None = None
    source: str | None = None
    provenance: Provenance = Provenance.SAID
    type: MemoryType = MemoryType.EPISODIC
    stability: Stability = Stability.TENTATIVE
    importance: float = 0.6
    emotion: Emotion | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory as it is stored. `seq` orders the memories of one store and is never used twice.

    `token_count` is that of the text with its speaker, by the model that was in use when it was stored. `trace_id`
    names the inference that it comes from, if any. `tags` ascend. `accessed_at` is when it was last used, None where it
    never was, `access_count` how often.
    """

    id: str
    seq: int
    text: str
    speaker: str | None
    said_at: datetime | None
    conversation: str | None
    source: str | None
    provenance: Provenance
    created_at: datetime
    token_count: int
    trace_id: str | None = None
    type: MemoryType = MemoryType.EPISODIC
    stability: Stability = Stability.TENTATIVE
    importance: float = 0.6
    emotion: Emotion | None = None
    tags: tuple[str, ...] = ()
    accessed_at: datetime | None = None
    access_count: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """A directed, typed relation between two memories, by seq; `weight` in [0, 1]."""

    source: int
    target: int
    type: str
    weight: float
    provenance: Provenance = Provenance.INFERRED


@dataclass(frozen=True, slots=True)
class Relation:
    """An edge between two memories by id, as callers see it: "`source` `type` `target`". `weight` in [0, 1]."""

    source: str
    target: str
    type: RelationType
    weight: float = 0.8
    provenance: Provenance = Provenance.SAID


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A co_activated relation before and after memories were used together; 0 where there is none."""

    source: str
    target: str
    before: float
    after: float


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
    tokens: how many tokens of the prompt are theirs; figures: what was measured on the way, by name.
    """

    strategy: str
    asked: str
    reason: str = ""
    memory_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    tokens: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class HitPath:
    """A way activation took to a hit: memory ids from the seed to the hit, and what it added to the score.

    `relations` are the types of the relations between them. Where there are none, `via` is the name that the two
    memories share; empty where they stand beside each other in a conversation.
    """

    memories: tuple[str, ...]
    contribution: float
    via: str = ""
    relations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that came back, and why.

    `score` is the sum of `arms`, in standard deviations over the candidates; higher is closer, and only the
    order within one recall means anything. `familiarity` in [0, 1] is how likely it is that this memory answers the
    prompt, by its words and activations alone; comparable between recalls, and 0 where neither arm ran.
    `seed_score` is the score before anything spread, `activation` what came over relations, with `type_boost` as a
    factor of each step that led to this memory; `priority` in [0, 1] is how much the memory matters just now.
    `corrected_by` is the id of what holds instead, where the memory was corrected.
    """

    memory: Memory
    score: float
    arms: Mapping[str, float]
    paths: tuple[HitPath, ...]
    familiarity: float
    seed_score: float = 0.0
    activation: float = 0.0
    type_boost: float = 1.0
    priority: float = 0.0
    corrected_by: str | None = None


@dataclass(frozen=True, slots=True)
class ArmReport:
    """Whether an arm of a recall ran, why not if it did not, and how long it took (seconds)."""

    name: str
    ran: bool
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PartialPass:
    """How deep the forward pass of a prompt went: `depth` of `n_layers` blocks, and what it cost (seconds)."""

    depth: int
    n_layers: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Recall:
    """The answer to a prompt: hits, best first, and how they were found.

    `familiarity` in [0, 1] is how likely it is that the candidates can answer the prompt at all; `candidates` is how
    many memories were searched. `partial_pass` is None where no forward pass was made. `seconds` leaves out the loading
    of the model. `truncated` says that a bound kept activation from all that it could have reached over relations.
    """

    prompt: str
    hits: tuple[Hit, ...]
    familiarity: float
    candidates: int
    arms: tuple[ArmReport, ...]
    partial_pass: PartialPass | None
    seconds: float
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ActivatedMemory:
    """A memory that activation reached, or started from.

    `activation` is `seed`, what it started with, plus all that arrived; each step that led to it was multiplied by
    `type_boost`. `paths` are the strongest ways there; `priority` in [0, 1]. `corrected_by` is the id of what holds
    instead, where the memory was corrected.
    """

    memory: Memory
    activation: float
    seed: float
    type_boost: float
    priority: float
    paths: tuple[HitPath, ...]
    corrected_by: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Where activation went: the most active memories, most active first.

    `frames`, where asked for, has what arrived in each hop by memory id, the most first; frame 0 is the seeds.
    `truncated` says that a bound kept activation from all that it could have reached.
    """

    memories: tuple[ActivatedMemory, ...]
    frames: tuple[Mapping[str, float], ...]
    truncated: bool
    seconds: float
