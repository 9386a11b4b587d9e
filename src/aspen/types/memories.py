"""Memories, and the relations between them. Times are timezone-aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    never was, `access_count` how often. `version` is 1 when it is stored, and one more after each amendment, and
    each time that another memory takes its place or gives it back.
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
    version: int = 1


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
