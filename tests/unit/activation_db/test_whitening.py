import numpy as np
import pytest
from tests.builders import drawn, skewed

from aspen.activation_db import KeyRecipe, KeySpace, whitening
from aspen.activation_db.moments import Moments
from aspen.activation_db.whitening import SHRINKAGE
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0, 2), dims=(6, 3), width=6)
NO_OFFSET = np.zeros((2, 6), dtype=np.float32)


def fit(pooled: FloatArray, offset: FloatArray = NO_OFFSET) -> KeySpace:
    return KeySpace.fit(Moments.of(pooled), prompt_offset=offset, recipe=RECIPE)


def covariance(
    space: KeySpace, pooled: FloatArray, *, layer: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    projected = (pooled[:, layer] - space.memory_mean[layer]) @ space.projections[layer]
    return np.asarray(np.cov(projected.astype(np.float64).T))


def test_without_shrinkage_whitened_keys_have_the_identity_as_covariance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whitening, "SHRINKAGE", 0.0)
    pooled = skewed(400)
    space = fit(pooled)
    assert space.dims == (6, 3)
    for layer in range(2):
        np.testing.assert_allclose(
            covariance(space, pooled, layer=layer), np.eye(space.dims[layer]), atol=5e-3
        )


def test_shrinkage_takes_weak_directions_down_and_no_direction_up() -> None:
    pooled = skewed(400)
    spectrum = np.linalg.eigvalsh(np.cov(pooled[:, 0].astype(np.float64).T))[::-1]
    shrunk = (1 - SHRINKAGE) * spectrum + SHRINKAGE * spectrum.mean()
    np.testing.assert_allclose(
        covariance(fit(pooled), pooled, layer=0), np.diag(spectrum / shrunk), rtol=1e-2, atol=5e-3
    )


def test_whitening_tells_apart_what_a_massive_dimension_made_alike() -> None:
    pooled = skewed(200)
    pooled[:, :, 1] += 1000
    raw = pooled[:, 0] / np.linalg.norm(pooled[:, 0], axis=1, keepdims=True)
    assert (raw @ raw.T).min() > 0.98
    (keys, _) = fit(pooled).memory_keys(pooled)
    assert abs(np.triu(keys @ keys.T, 1).mean()) < 0.05


def test_keys_have_length_one() -> None:
    pooled = skewed(20)
    space = fit(pooled)
    for keys in (*space.memory_keys(pooled), *space.prompt_keys(pooled)):
        np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, rtol=1e-4)


def test_both_means_move_together_and_prompts_are_centred_on_theirs() -> None:
    offset = drawn(2, 6, seed=3)
    space, moved = fit(skewed(50), offset), fit(skewed(50) + 7, offset)
    np.testing.assert_allclose(space.prompt_mean - space.memory_mean, offset, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved.memory_mean - space.memory_mean, np.full((2, 6), 7), rtol=1e-3)
    np.testing.assert_allclose(moved.prompt_mean - space.prompt_mean, np.full((2, 6), 7), rtol=1e-3)
    for as_prompt, as_memory in zip(
        space.prompt_keys(skewed(5) + offset), space.memory_keys(skewed(5)), strict=True
    ):
        np.testing.assert_allclose(as_prompt, as_memory, atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 400])
def test_texts_without_any_spread_do_not_blow_up(n: int) -> None:
    same = np.repeat(drawn(1, 2, 6), n, axis=0)
    space = fit(same)
    for keys in (*space.memory_keys(same), *space.memory_keys(drawn(3, 2, 6, seed=5))):
        assert np.isfinite(keys).all()


def test_a_space_survives_as_tensors() -> None:
    space = fit(skewed(50), drawn(2, 6, seed=3))
    back = KeySpace.from_tensors(space.to_tensors())
    assert back.dims == space.dims
    np.testing.assert_array_equal(back.memory_mean, space.memory_mean)
    np.testing.assert_array_equal(back.prompt_mean, space.prompt_mean)
    for ours, theirs in zip(back.projections, space.projections, strict=True):
        np.testing.assert_array_equal(ours, theirs)
