"""Priority: the formula by hand, its floors, and what it must not depend on."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.memory_graph.priority import FLOOR, WEIGHTS, priority_of
from aspen.types import Emotion, Memory, MemoryType, Provenance, Stability

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def memory(
    kind: MemoryType = MemoryType.EPISODIC,
    *,
    stability: Stability = Stability.TENTATIVE,
    importance: float = 0.6,
    emotion: float | None = None,
    accesses: int = 0,
    days: float = 0.0,
) -> Memory:
    used = NOW - timedelta(days=days)
    return Memory(
        id="m",
        seq=1,
        text="text",
        speaker=None,
        said_at=None,
        conversation=None,
        source=None,
        provenance=Provenance.SAID,
        created_at=used if accesses == 0 else NOW - timedelta(days=1000),
        token_count=1,
        type=kind,
        stability=stability,
        importance=importance,
        emotion=None if emotion is None else Emotion("joy", emotion),
        accessed_at=used if accesses else None,
        access_count=accesses,
    )


@pytest.mark.parametrize(
    ("given_memory", "expected"),
    [
        (memory(), 0.40 + 0.20 * 0.6),
        (memory(days=30), 0.40 * 0.5 + 0.20 * 0.6),
        (memory(days=30, accesses=9), 0.40 * 0.5 + 0.20 * 0.6 + 0.20 * math.log(10) / math.log(101)),
        (memory(MemoryType.BELIEF, importance=1, emotion=0.5, days=60), 0.10 / 4 + 0.40 + 0.20 * 0.5),
        (memory(MemoryType.SELF, importance=0.3, days=30), 0.10 / 2 + 0.40 * 0.3),
        (memory(MemoryType.SEMANTIC, importance=0.3, accesses=100), 0.10 + 0.50 * 0.3 + 0.20),
        (memory(MemoryType.PATTERN, emotion=1, days=90), 0.25 / 8 + 0.30 * 0.6 + 0.15),
    ],
)
def test_the_formula(given_memory: Memory, expected: float) -> None:
    assert priority_of(given_memory, now=NOW) == pytest.approx(expected, rel=1e-12)


def test_the_weights_of_each_type_sum_to_one() -> None:
    assert set(WEIGHTS) == set(MemoryType)
    for weights in WEIGHTS.values():
        parts = (weights.recency, weights.importance, weights.usage, weights.emotion)
        assert sum(parts) == pytest.approx(1)


@pytest.mark.parametrize("kind", MemoryType)
@pytest.mark.parametrize("stability", Stability)
def test_only_canonical_memories_of_identity_have_a_floor(kind: MemoryType, stability: Stability) -> None:
    low = priority_of(memory(kind, stability=stability, importance=0.0, days=3000), now=NOW)
    has_floor = stability is Stability.CANONICAL and kind in (MemoryType.SELF, MemoryType.BELIEF)
    assert low == FLOOR if has_floor else low < 0.01


@given(
    st.sampled_from(MemoryType),
    st.sampled_from(Stability),
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.integers(0, 10**9),
    st.floats(-1000, 10_000),
)
def test_it_lies_in_the_unit_interval_and_falls_with_time(
    kind: MemoryType,
    stability: Stability,
    importance: float,
    emotion: float | None,
    accesses: int,
    days: float,
) -> None:
    one = memory(
        kind, stability=stability, importance=importance, emotion=emotion, accesses=accesses, days=days
    )
    now, later = (priority_of(one, now=NOW + timedelta(days=passed)) for passed in (0, 7))
    assert 0 <= later <= now <= 1
