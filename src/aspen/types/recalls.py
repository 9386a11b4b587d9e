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
class ArmCandidate:
    """What one arm says of a memory.

    `raw` in the arm's unit (`RecallExplanation.units`), higher is closer; `z` the same in standard deviations from the
    mean of all candidates; `rank` by it, from 1, among the memories that the recall may return.
    """

    memory_id: str
    raw: float
    z: float
    rank: int


@dataclass(frozen=True, slots=True)
class FusedCandidate:
    """How the score of one memory came about.

    `score` is its score before anything spread, the sum of `parts`: each arm's z times its weight, the priors that had
    something to say (subject, dates, traits), and priority. `added` is what came then (neighbours, names, kept,
    session, relations, corrected, rerank), and `final` the sum of both. `place` is its place among the hits, from 1,
    None where it is none of them. All in standard deviations over the candidates.

    `arrived` is the activation that came over turns, names and relations: the sum of what the edges in the frames
    carried. Of it, `neighbours = takes_in x turns`, or where names brought more `names` alone; `takes_in` in (0, 1] is
    less than 1 for long memories. `relations = arrived + min(arrived, max(0, -score))`, of which `boosted` is what the
    boost of this memory's own type made.
    """

    memory_id: str
    score: float
    parts: Mapping[str, float]
    added: Mapping[str, float]
    final: float
    place: int | None
    arrived: Mapping[str, float]
    takes_in: float
    boosted: float


@dataclass(frozen=True, slots=True)
class CarriedEdge:
    """An edge that activation went over in one hop, from and to memories by id, and what it carried to `target`.

    `relation` is the type of the relation; "turn" between turns that follow each other; "name" where the two share the
    name `via`. `weight` in [0, 1], that of a name >= 0.
    """

    source: str
    target: str
    relation: str
    weight: float
    carried: float
    via: str = ""


@dataclass(frozen=True, slots=True)
class RecallFrame:
    """One hop: the activation that arrived, by memory id, the most first, and the edges that carried it, likewise.

    The edges sum to the activation of each memory that the explanation tells of; `left_out` is how many more there were
    that led to others. Frame 0 has no edges, and what activation started from: the scores before spreading.
    """

    activation: Mapping[str, float]
    edges: tuple[CarriedEdge, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RecallExplanation:
    """How a recall came about, for the hits and for the best of each arm and of the fusion.

    arms: by name, the most by that arm first; units, weights: of each arm's raw scores, and its share in the fusion;
    fused: the same memories, the best before spreading first; frames: how activation spread, hop by hop; memories: all
    that are named here, by id. A memory that was forgotten meanwhile is left out of all.
    """

    arms: Mapping[str, tuple[ArmCandidate, ...]]
    units: Mapping[str, str]
    weights: Mapping[str, float]
    fused: tuple[FusedCandidate, ...]
    frames: tuple[RecallFrame, ...]
    memories: Mapping[str, Memory]


@dataclass(frozen=True, slots=True)
class Recall:
    """The answer to a prompt: hits, best first, and how they were found.

    `familiarity` in [0, 1] is how likely it is that the candidates can answer the prompt at all; `candidates` is how
    many memories were searched: those that pass the filters, of which each could be a hit. `partial_pass` is None where
    no forward pass was made. `seconds` leaves out the loading of the model. `truncated` says that a bound kept
    activation from all that it could have reached over relations. `explanation` is there where it was asked for.
    """

    prompt: str
    hits: tuple[Hit, ...]
    familiarity: float
    candidates: int
    arms: tuple[ArmReport, ...]
    partial_pass: PartialPass | None
    seconds: float
    truncated: bool = False
    explanation: RecallExplanation | None = None


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
    `carried` then has for each of them the strongest edges over which it came, none for the seeds. `truncated` says
    that a bound kept activation from all that it could have reached.
    """

    memories: tuple[ActivatedMemory, ...]
    frames: tuple[Mapping[str, float], ...]
    truncated: bool
    seconds: float
    carried: tuple[tuple[CarriedEdge, ...], ...] = ()
