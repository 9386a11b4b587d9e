import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db import Calibration, KeyRecipe, fit_due, fit_space
from aspen.activation_db.fitting import PRIOR_COUNT, moments_of
from aspen.activation_db.keys import encode_key
from aspen.activation_db.whitening import Moments
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0,), dims=(4,), width=4)
PRIOR = Calibration(
    turns=Moments.of(drawn(500, 1, 4)),
    prompt_offset=np.full((1, 4), 2, dtype=np.float32),
    token_weights=np.ones(3, dtype=np.float32),
)


def keys(pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    bodies = [np.frombuffer(encode_key(vectors), dtype=np.uint8) for vectors in pooled]
    return np.array(bodies, dtype=np.uint8).reshape(len(pooled), RECIPE.key_size)


@pytest.mark.parametrize(
    ("memories", "fitted_on", "due"),
    [
        (0, 0, False),
        (19, 0, False),
        (20, 0, True),
        (20, 20, False),
        (25, 20, False),
        (26, 20, True),
        (1299, 1000, False),
        (1300, 1000, True),
        (800, 1000, False),
        (769, 1000, True),  # three in ten were forgotten
        (19, 1000, False),  # too few to fit anything on
    ],
)
def test_a_fit_is_due_at_twenty_memories_and_after_each_growth_by_three_tenths(
    memories: int, fitted_on: int, *, due: bool
) -> None:
    assert fit_due(memories, fitted_on=fitted_on) is due


def test_all_fits_of_a_growing_store_cost_a_few_passes_over_its_keys() -> None:
    fitted_on, rows = 0, 0
    for memories in range(1, 20_001):
        if fit_due(memories, fitted_on=fitted_on):
            fitted_on, rows = memories, rows + memories
    assert 0.75 * 20_000 < fitted_on <= 20_000
    assert rows < 5 * 20_000


def test_without_memories_the_calibration_alone_decides() -> None:
    space = fit_space(keys(drawn(0, 1, 4)), calibration=PRIOR, recipe=RECIPE)
    assert space.fitted_on == 0
    np.testing.assert_allclose(space.memory_mean, PRIOR.turns.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(space.prompt_mean - space.memory_mean, PRIOR.prompt_offset, rtol=1e-5)


def test_the_calibration_fades_as_the_store_grows() -> None:
    pooled = drawn(900, 1, 4, seed=1) + 10
    for n in (1, 100, 900):
        space = fit_space(keys(pooled[:n]), calibration=PRIOR, recipe=RECIPE)
        share = n / (n + PRIOR_COUNT)
        expected = share * pooled[:n].mean(axis=0) + (1 - share) * PRIOR.turns.mean
        assert space.fitted_on == n
        np.testing.assert_allclose(space.memory_mean, expected, atol=0.05)
        np.testing.assert_allclose(space.prompt_mean - space.memory_mean, PRIOR.prompt_offset, rtol=1e-4)


def test_a_large_store_is_sampled_evenly_and_a_small_one_read_whole() -> None:
    body = keys(drawn(3, 1, 4))
    assert moments_of(np.repeat(body, 1000, axis=0), recipe=RECIPE).count == 3000
    # A third of the rows each, in order: a sample of the beginning alone would see only the first.
    large = moments_of(np.repeat(body, 7000, axis=0), recipe=RECIPE)
    assert large.count == 10_000
    np.testing.assert_allclose(large.mean, moments_of(body, recipe=RECIPE).mean, atol=1e-3)
