import numpy as np
from tests.builders import skewed

from aspen.activation_db.moments import Moments


def test_moments_are_count_mean_and_scatter() -> None:
    pooled = skewed(50)
    moments = Moments.of(pooled)
    assert moments.count == 50
    np.testing.assert_allclose(moments.mean, pooled.mean(axis=0), rtol=1e-5)
    for layer in range(2):
        expected = np.cov(pooled[:, layer].astype(np.float64).T, bias=True) * 50
        np.testing.assert_allclose(moments.scatter[layer], expected, rtol=1e-4, atol=1e-2)


def test_merged_moments_are_those_of_both_samples_together() -> None:
    first, second = skewed(30), skewed(7, seed=1) - 4
    merged, whole = Moments.of(first).merge(Moments.of(second)), Moments.of(np.concatenate([first, second]))
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-5)
    np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=1e-4, atol=1e-2)


def test_merging_nothing_changes_nothing() -> None:
    empty, some = Moments.empty(n_layers=2, width=6), Moments.of(skewed(9))
    for merged in (empty.merge(some), some.merge(empty)):
        assert merged.count == 9
        np.testing.assert_allclose(merged.mean, some.mean)
        np.testing.assert_allclose(merged.scatter, some.scatter)
    assert empty.merge(empty).count == 0


def test_weighted_moments_keep_mean_and_covariance() -> None:
    moments = Moments.of(skewed(40))
    light = moments.weighted(10)
    assert light.count == 10
    np.testing.assert_array_equal(light.mean, moments.mean)
    np.testing.assert_allclose(light.scatter / light.count, moments.scatter / moments.count)


def test_moments_survive_as_tensors_to_three_digits() -> None:
    moments = Moments.of(skewed(200))
    tensors = moments.to_tensors()
    back = Moments.from_tensors(tensors)
    assert back.count == 200
    np.testing.assert_allclose(back.mean, moments.mean, rtol=1e-6)
    scale = np.sqrt(np.einsum("kdd->kd", moments.scatter))
    error = (back.scatter - moments.scatter) / np.einsum("kd,ke->kde", scale, scale)
    assert np.abs(error).max() < 1e-3
    assert tensors["correlations"].nbytes == 2 * 15 * 2  # two layers, the triangle of 6 x 6, float16


def test_moments_of_nothing_and_of_one_value_survive_as_tensors() -> None:
    for moments in (Moments.empty(n_layers=2, width=6), Moments.of(np.ones((3, 2, 6), dtype=np.float32))):
        back = Moments.from_tensors(moments.to_tensors())
        assert back.count == moments.count
        np.testing.assert_array_equal(back.mean, moments.mean)
        np.testing.assert_array_equal(back.scatter, 0)
