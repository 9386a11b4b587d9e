"""What recall and spreading answer: memories, their scores, and the ways on which they came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aspen.types.memories import Memory


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
