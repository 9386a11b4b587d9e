import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db import KeyCode, KeyRecipe
from aspen.activation_db.moments import Moments
from aspen.errors import InvalidInput
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0, 2), dims=(12, 6), width=12)
POOLED = drawn(900, 2, 12) * np.geomspace(30, 3, 12).astype(np.float32) + 3
CODE = KeyCode.fit(Moments.of(POOLED), recipe=RECIPE)


def bodies(pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.frombuffer(CODE.encode(vectors), dtype=np.uint8) for vectors in pooled])


def test_a_direction_takes_a_third_of_a_byte_in_the_first_layer_and_half_of_one_deeper() -> None:
    assert CODE.size == len(CODE.encode(POOLED[0])) == 2 + 4 + 2 + 3


def test_keys_come_back_nearly_in_the_directions_kept_and_keep_their_order() -> None:
    back = CODE.decode(bodies(POOLED[:50]))
    assert back.shape == (50, 2, 12)
    assert back.dtype == np.float32
    deviations = POOLED[:50] - POOLED.mean(axis=0)
    error = ((back - POOLED[:50]) ** 2).sum(axis=(1, 2)) / (deviations**2).sum(axis=(1, 2))
    assert error[:25].mean() < 0.15
    # Of the second layer half of the directions are left out.
    by_layer = ((back - POOLED[:50]) ** 2).sum(axis=(0, 2))
    assert by_layer[0] < by_layer[1]


@pytest.mark.parametrize("size", [0.05, 30.0])
def test_a_store_of_larger_or_smaller_vectors_loses_no_more(size: float) -> None:
    """Without the gain all of them would be cut off at the outermost level, or fall between the innermost."""
    mean = POOLED.mean(axis=0)
    pooled = mean + np.float32(size) * (POOLED[:60] - mean)
    error = CODE.decode(bodies(pooled))[:, 0] - pooled[:, 0]
    assert (error**2).sum() < 0.15 * ((pooled - mean)[:, 0] ** 2).sum()


@pytest.mark.parametrize("vectors", [np.zeros((2, 12)), np.full((2, 12), 3e38), POOLED.mean(axis=0)])
def test_odd_vectors_give_finite_keys(vectors: FloatArray) -> None:
    back = CODE.decode(bodies(vectors.astype(np.float32)[None]))
    assert np.isfinite(back).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_not_finite_are_refused_with_a_way_out(bad: float) -> None:
    pooled = drawn(2, 12)
    pooled[1, 3] = bad
    with pytest.raises(InvalidInput, match="float32"):
        CODE.encode(pooled)


def test_keys_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidInput, match="11 bytes, got 9"):
        CODE.decode(np.zeros((1, 9), dtype=np.uint8))


def test_moments_are_those_of_the_decoded_keys() -> None:
    keys = bodies(POOLED[:200])
    moments, expected = CODE.moments(keys), Moments.of(CODE.decode(keys))
    assert moments.count == 200
    np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moments.scatter, expected.scatter, rtol=1e-3, atol=1)


def test_it_comes_back_from_its_tensors_and_its_version_tells_it_from_others() -> None:
    back = KeyCode.from_tensors(CODE.to_tensors(), n_layers=2)
    assert back.version == CODE.version
    np.testing.assert_array_equal(back.decode(bodies(POOLED[:3])), CODE.decode(bodies(POOLED[:3])))
    assert KeyCode.fit(Moments.of(POOLED[:500]), recipe=RECIPE).version != CODE.version
