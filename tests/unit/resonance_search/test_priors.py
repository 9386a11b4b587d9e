import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.builders import like_new

from aspen.memory_graph import TurnGraph
from aspen.repository import NO_TIME
from aspen.resonance_search.arms import Query, Unavailable
from aspen.resonance_search.priors import QUESTION, DatePrior, SubjectPrior, TraitPrior, traits_of
from aspen.resonance_search.snapshot import Candidates


def candidates(subjects: Sequence[str | None], **traits: Sequence[float]) -> Candidates:
    n = len(subjects)
    codes: dict[str | None, int] = {None: 0}
    coded = [codes.setdefault(subject, len(codes)) for subject in subjects]
    return Candidates(
        conversation=None,
        rows=None,
        seqs=np.arange(1, n + 1),
        subjects=np.array(coded, dtype=np.int64),
        subject_codes=codes,
        subject_names=list(codes),
        traits={name: np.array(values, dtype=np.float32) for name, values in traits.items()},
        provenances=np.array(["said"] * n),
        speakers=np.zeros(n, dtype=np.int64),
        speaker_codes={None: 0},
        tags=[()] * n,
        priority=like_new(n),
        corrected_by={},
        said_at=np.full(n, NO_TIME),
        token_counts=np.full(n, 5, dtype=np.int32),
        term_counts=np.full(n, 5, dtype=np.int32),
        sessions=np.zeros(n, dtype=np.int64),
        time_graph=TurnGraph.of(
            n_nodes=n,
            sources=np.zeros(0, dtype=np.int64),
            targets=np.zeros(0, dtype=np.int64),
            weights=np.zeros(0),
        ),
    )


def test_who_is_named_is_lifted_and_the_rarer_the_more() -> None:
    among = candidates(["mara", "mara", "mara", "lake tana", None])
    lift = SubjectPrior().lift(Query("What did Mara say about lake Tana?", None), among)
    assert not isinstance(lift, Unavailable)
    often, once = 1 + 0.3 * math.log(5 / 3), 1 + 0.3 * math.log(5)
    assert lift.tolist() == pytest.approx([often, often, often, once, 0])


def test_where_nobody_is_named_it_says_so() -> None:
    for subjects in (["mara", None], [None], []):
        outcome = SubjectPrior().lift(Query("Who lives in Lisbon?", None), candidates(subjects))
        assert isinstance(outcome, Unavailable)


def test_traits_lift_and_lower_by_their_strength() -> None:
    among = candidates([None] * 3, question=[1, 0, 0.5], other=[1, 1, 1])
    lift = TraitPrior(weights={QUESTION: -0.4, "instruction": 2}).lift(Query("x", None), among)
    assert not isinstance(lift, Unavailable)
    assert lift.tolist() == pytest.approx([-0.4, 0, -0.1])
    assert isinstance(TraitPrior(weights={"x": 1}).lift(Query("x", None), among), Unavailable)


@pytest.mark.parametrize(
    "text", ["Where?", "Where is it? ", "Look! Isn't it nice? [shares a photo of a cat]"]
)
def test_a_turn_that_asks_has_the_trait_of_a_question(text: str) -> None:
    assert traits_of(text) == {QUESTION: 1.0}


@pytest.mark.parametrize("text", ["There.", "Where? I forgot.", "", "[?]"])
def test_other_turns_do_not(text: str) -> None:
    assert traits_of(text) == {}


def said(*times: datetime | None) -> Candidates:
    stamps = [NO_TIME if time is None else int(time.timestamp() * 1e6) for time in times]
    return replace(candidates([None] * len(times)), said_at=np.array(stamps))


def test_memories_of_a_time_that_is_named_are_lifted() -> None:
    may, june = datetime(2023, 5, 8, 23, 59, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)
    lift = DatePrior().lift(Query("What came in May 2023?", None), said(may, june, june, None))
    assert not isinstance(lift, Unavailable)
    assert lift.tolist() == pytest.approx([1 + 0.5 * math.log(4), 0, 0, 0])


def test_yesterday_is_counted_from_when_it_is_asked() -> None:
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)
    query = Query("What did I say yesterday?", None, asked_at=now)
    lift = DatePrior().lift(query, said(now - timedelta(days=1), now, now))
    assert not isinstance(lift, Unavailable)
    assert np.flatnonzero(lift).tolist() == [0]


def test_a_time_that_tells_nothing_lifts_nothing() -> None:
    may, june = datetime(2023, 5, 8, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)
    for text, among in (
        ("What came in May 2023?", said(may, may, june)),  # most of them
        ("What came in 2021?", said(may, june)),  # none
        ("What came by post?", said(may, june)),  # no time is named
        ("What came in May 2023?", said(None, None)),
        ("What came in May 2023?", said()),
    ):
        assert isinstance(DatePrior().lift(Query(text, None), among), Unavailable), text


def test_a_time_without_end_hides_no_other() -> None:
    """9999-12-31 is how some programs write "for ever"."""
    times = (
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(2023, 5, 8, tzinfo=UTC),
        datetime(2022, 1, 1, tzinfo=UTC),
    )
    lift = DatePrior().lift(Query("What came in May, or on 31 December?", None), said(*times))
    assert isinstance(lift, np.ndarray)
    assert (lift > 0).tolist() == [False, True, False]
