from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.benchmarks import metrics

CUTOFFS = (2, 5, 10)
RANKED = ["d", "a", "x", "b", "y", "z", "c"]
SOURCES = st.sampled_from("abcdefghijklmnop")
ranked_lists = st.lists(SOURCES, unique=True, max_size=16)
evidence_sets = st.frozensets(SOURCES, min_size=1, max_size=5)


def test_recall_is_the_share_of_the_evidence_among_the_first_k() -> None:
    assert metrics.recall(RANKED, {"a", "b", "c"}, k=1) == 0
    assert metrics.recall(RANKED, {"a", "b", "c"}, k=2) == pytest.approx(1 / 3)
    assert metrics.recall(RANKED, {"a", "b", "c"}, k=5) == pytest.approx(2 / 3)
    assert metrics.recall(RANKED, {"a", "b", "c"}, k=10) == 1


def test_all_recall_needs_every_piece_of_evidence() -> None:
    assert metrics.all_recall(RANKED, {"a", "b"}, k=3) == 0
    assert metrics.all_recall(RANKED, {"a", "b"}, k=4) == 1


def test_ndcg_by_hand() -> None:
    # Found at places 2 and 4 of three pieces: (1/log2 3 + 1/log2 5) / (1/log2 2 + 1/log2 3 + 1/log2 4)
    gain, best = 1 / math.log2(3) + 1 / math.log2(5), 1 + 1 / math.log2(3) + 0.5
    assert metrics.ndcg(RANKED, {"a", "b", "nowhere"}, k=10) == pytest.approx(gain / best)
    assert metrics.ndcg(["a"], {"a", "b"}, k=1) == 1  # the best that one place can hold
    assert metrics.ndcg(RANKED, {"c"}, k=5) == 0


def test_reciprocal_rank_by_hand() -> None:
    assert metrics.reciprocal_rank(RANKED, {"b", "x"}) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(RANKED, {"nowhere"}) == 0


@given(ranked_lists, evidence_sets)
def test_measures_lie_between_nothing_and_everything_and_recall_grows_with_k(
    ranked: list[str], evidence: frozenset[str]
) -> None:
    values = dict(
        zip(metrics.names(CUTOFFS), metrics.measured(ranked, evidence, cutoffs=CUTOFFS), strict=True)
    )
    assert all(0 <= value <= 1 for value in values.values())
    assert values["recall@2"] <= values["recall@5"] <= values["recall@10"]
    assert (values["all_recall@10"] == 1) == (values["recall@10"] == 1)
    assert (values["mrr"] > 0) == bool(set(ranked) & evidence)


@given(ranked_lists, evidence_sets)
def test_a_ranking_with_all_evidence_first_is_perfect(ranked: list[str], evidence: frozenset[str]) -> None:
    perfect = [*sorted(evidence), *(source for source in ranked if source not in evidence)]
    assert metrics.measured(perfect, evidence, cutoffs=(5, 10)) == pytest.approx([1] * 5)


def test_means_are_percent_with_one_decimal() -> None:
    figures = metrics.means(
        np.array([[1, 1, 0, 0, 0.5], [0, 1, 0, 0, 0.25], [0, 0, 0, 0, 0]]), cutoffs=(5, 10)
    )
    assert figures == {"recall@5": 33.3, "recall@10": 66.7, "all_recall@10": 0.0, "ndcg@10": 0.0, "mrr": 25.0}


def test_means_of_no_question_are_none() -> None:
    assert set(metrics.means(np.zeros((0, 4)), cutoffs=(5,)).values()) == {None}


def drawn(questions: int, *, seed: int = 0) -> metrics.Measures:
    return np.random.default_rng(seed).random((questions, 4))


def test_intervals_hold_the_mean_and_are_the_same_each_time() -> None:
    measures = drawn(60)
    groups = [f"conversation {i % 6}" for i in range(60)]
    means = metrics.means(measures, cutoffs=(5,))
    found = metrics.intervals(measures, groups, cutoffs=(5,))
    assert found == metrics.intervals(measures, groups, cutoffs=(5,))
    for name, mean in means.items():
        low, high = found[name] or (1, 0)
        assert mean is not None and low < mean < high


def test_whole_groups_are_drawn_so_that_questions_of_a_conversation_do_not_count_as_independent() -> None:
    measures = np.repeat([[0.0] * 4, [1.0] * 4], 50, axis=0)
    by_group = metrics.intervals(measures, ["one"] * 50 + ["two"] * 50, cutoffs=(5,))
    by_question = metrics.intervals(measures, [""] * 100, cutoffs=(5,))
    assert by_group["recall@5"] == [0, 100]
    low, high = by_question["recall@5"] or (0, 0)
    assert 35 < low < 50 < high < 65


def test_resamples_draw_as_many_groups_as_there_are_and_all_of_each() -> None:
    draws = list(metrics.resamples(["one", "one", "two", "", ""]))
    assert all(weights[0] == weights[1] for weights in draws)
    assert {int(weights[1:].sum()) for weights in draws} == {
        4
    }  # "one", "two", and two questions that stand alone
    assert np.mean(draws, axis=0) == pytest.approx(np.ones(5), abs=0.1)
    assert list(metrics.resamples(["one"] * 3)) == list(metrics.resamples([])) == []


def test_one_conversation_has_no_interval() -> None:
    assert set(metrics.intervals(drawn(5), ["one"] * 5, cutoffs=(5,)).values()) == {None}


@given(st.integers(min_value=2, max_value=30), st.integers(min_value=0, max_value=100))
def test_the_interval_of_no_difference_is_zero(questions: int, seed: int) -> None:
    measures = drawn(questions, seed=seed)
    found = metrics.intervals(measures - measures, [""] * questions, cutoffs=(5,))
    assert found["recall@5"] == [0, 0]
