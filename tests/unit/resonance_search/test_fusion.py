import numpy as np
from tests.builders import drawn

from aspen.resonance_search.fusion import zscore


def test_scores_become_deviations_from_the_mean_in_their_order() -> None:
    raw = drawn(50) * 7 + 3
    scores = zscore(raw)
    assert scores.dtype == np.float32
    assert abs(scores.mean()) < 1e-5
    np.testing.assert_allclose(scores.std(), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(raw))


def test_columns_are_made_comparable_one_by_one() -> None:
    raw = drawn(50, 2) * np.array([1000, 0.001], dtype=np.float32)
    scores = zscore(raw)
    np.testing.assert_allclose(scores.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(scores[:, 0], zscore(raw[:, 0]), atol=1e-6)


def test_equal_scores_say_nothing() -> None:
    np.testing.assert_array_equal(zscore(np.full(4, 0.1, dtype=np.float32)), np.zeros(4))
    np.testing.assert_array_equal(zscore(np.array([5], dtype=np.float32)), [0])
    mixed = np.array([[1, 2], [1, 3]], dtype=np.float32)
    np.testing.assert_array_equal(zscore(mixed), [[0, -1], [0, 1]])


def test_no_candidates_have_no_scores() -> None:
    assert zscore(np.zeros(0, dtype=np.float32)).shape == (0,)
    assert zscore(np.zeros((0, 3), dtype=np.float32)).sum(axis=1).shape == (0,)
