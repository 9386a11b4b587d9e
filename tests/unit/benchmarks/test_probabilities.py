from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.benchmarks import probabilities

PREDICTED = np.array([0.1, 0.4, 0.4, 0.9])
OBSERVED = np.array([False, False, True, True])


def even(count: int) -> probabilities.Values:
    return np.ones(count)


def test_auroc_by_hand() -> None:
    # Of four pairs three are in order, and one is level.
    assert probabilities.auroc(PREDICTED, OBSERVED, even(4)) == pytest.approx(3.5 / 4)
    assert probabilities.auroc(PREDICTED, ~OBSERVED, even(4)) == pytest.approx(0.5 / 4)
    assert probabilities.auroc(np.full(4, 0.3), OBSERVED, even(4)) == 0.5


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.booleans(), st.integers(1, 3)), min_size=2)
)
def test_auroc_is_the_share_of_pairs_in_order_and_weights_are_repetitions(
    rows: list[tuple[float, bool, int]],
) -> None:
    predicted, observed, weights = map(np.array, zip(*rows, strict=True))
    if observed.all() or not observed.any():
        return
    found = probabilities.auroc(predicted, observed, weights.astype(float))
    repeated = np.repeat(predicted, weights), np.repeat(observed, weights)
    above, below = repeated[0][repeated[1]], repeated[0][~repeated[1]]
    pairs = np.sign(above[:, None] - below[None, :])
    assert found == pytest.approx(((pairs + 1) / 2).mean())


def test_brier_score_by_hand() -> None:
    assert probabilities.brier_score(PREDICTED, OBSERVED, even(4)) == pytest.approx(
        (0.01 + 0.16 + 0.36 + 0.01) / 4
    )
    assert probabilities.brier_score(np.full(4, 0.5), OBSERVED, even(4)) == 0.25


def test_the_reliability_table_holds_every_prediction_once() -> None:
    predicted = np.array([0.0, 0.1, 0.2, 0.99, 1.0])
    table = probabilities.reliability(predicted, np.array([False, True, False, True, True]))
    assert [(bin_.low, bin_.high, bin_.count) for bin_ in table] == [
        (0.0, 0.2, 2),
        (0.2, 0.4, 1),
        (0.4, 0.6, 0),
        (0.6, 0.8, 0),
        (0.8, 1.0, 2),
    ]
    assert table[0].mean_predicted == pytest.approx(0.05)
    assert table[0].observed == 0.5
    assert (table[2].mean_predicted, table[2].observed) == (None, None)


def test_the_calibration_error_weighs_bins_by_their_count() -> None:
    table = probabilities.reliability(np.array([0.1, 0.1, 0.1, 0.9]), np.array([False, False, False, False]))
    assert probabilities.expected_calibration_error(table) == pytest.approx((3 * 0.1 + 0.9) / 4)


def test_intervals_draw_whole_groups() -> None:
    # In one conversation all are told apart, in the other none: the interval reaches from one to the other.
    predicted, observed = np.array([0.0, 1.0, 1.0, 0.0]), np.array([False, True, False, True])
    groups = ["one", "one", "two", "two"]
    assert probabilities.interval(probabilities.auroc, predicted, observed, groups=groups) == [0.0, 1.0]
    assert probabilities.interval(probabilities.auroc, predicted, observed, groups=["one"] * 4) is None
