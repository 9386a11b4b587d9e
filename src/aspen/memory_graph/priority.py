"""How much a memory matters just now: a pure function of what is stored of it, and of the time.

Recency, usage, importance and emotion, each in [0, 1], are weighted by the type of the memory: what happened once
fades, what one believes does not. What is canonical about oneself never sinks below a floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from aspen.repository import to_microseconds
from aspen.types import Memory, MemoryType, Stability

HALF_LIFE = 30.0
"""Days since the last access after which recency is one half."""
FLOOR = 0.4
"""Least priority of a canonical self or belief memory."""
_OFTEN = 100  # accesses that count as usage 1
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class PriorityWeights:
    """What counts how much; they sum to 1."""

    recency: float
    importance: float
    usage: float
    emotion: float


_IDENTITY = PriorityWeights(recency=0.10, importance=0.40, usage=0.30, emotion=0.20)
WEIGHTS: Mapping[MemoryType, PriorityWeights] = {
    MemoryType.SELF: _IDENTITY,
    MemoryType.BELIEF: _IDENTITY,
    MemoryType.SEMANTIC: PriorityWeights(recency=0.10, importance=0.50, usage=0.20, emotion=0.20),
    MemoryType.PATTERN: PriorityWeights(recency=0.25, importance=0.30, usage=0.30, emotion=0.15),
    MemoryType.EPISODIC: PriorityWeights(recency=0.40, importance=0.20, usage=0.20, emotion=0.20),
}


@dataclass(frozen=True, slots=True)
class PriorityFacts:
    """What the priority of n memories depends on, as columns.

    types, stabilities: strings [n]; importances, emotions: float64 [n] in [0, 1], 0 where there is no emotion;
    counts: int64 [n], accesses; used_at: int64 [n], the last access, or where there was none the moment of storing, in
    microseconds since 1970 in UTC.
    """

    types: NDArray[np.str_]
    stabilities: NDArray[np.str_]
    importances: NDArray[np.float64]
    emotions: NDArray[np.float64]
    counts: NDArray[np.int64]
    used_at: NDArray[np.int64]


def current_priority(facts: PriorityFacts, *, now: datetime) -> NDArray[np.float64]:
    """The priority of each memory at `now`, float64 [n] in [0, 1].

    recency = 2^(-days since the last access / 30), 1 for a time to come; usage = ln(1 + accesses) / ln(101), at most 1.
    """
    days = (to_microseconds(now) - facts.used_at) / _DAY
    recency = np.exp2(-np.maximum(days, 0.0) / HALF_LIFE)
    usage = np.minimum(np.log1p(facts.counts) / np.log1p(_OFTEN), 1.0)
    priority = np.zeros(len(facts.types))
    for kind, weights in WEIGHTS.items():
        own = facts.types == kind.value
        priority[own] = (
            weights.recency * recency
            + weights.importance * facts.importances
            + weights.usage * usage
            + weights.emotion * facts.emotions
        )[own]
    identity = np.isin(facts.types, [MemoryType.SELF.value, MemoryType.BELIEF.value])
    canonical = facts.stabilities == Stability.CANONICAL.value
    priority[identity & canonical] = np.maximum(priority[identity & canonical], FLOOR)
    return np.clip(priority, 0.0, 1.0)


def priorities_of(memories: Sequence[Memory], *, now: datetime) -> NDArray[np.float64]:
    """`current_priority` of memories, float64 [n]."""
    facts = PriorityFacts(
        types=np.array([memory.type.value for memory in memories], dtype=np.str_),
        stabilities=np.array([memory.stability.value for memory in memories], dtype=np.str_),
        importances=np.array([memory.importance for memory in memories], dtype=np.float64),
        emotions=np.array([m.emotion.intensity if m.emotion else 0.0 for m in memories], dtype=np.float64),
        counts=np.array([memory.access_count for memory in memories], dtype=np.int64),
        used_at=np.array(
            [to_microseconds(memory.accessed_at or memory.created_at) for memory in memories], dtype=np.int64
        ),
    )
    return current_priority(facts, now=now)


def priority_of(memory: Memory, *, now: datetime) -> float:
    """`current_priority` of one memory."""
    return float(priorities_of([memory], now=now)[0])
