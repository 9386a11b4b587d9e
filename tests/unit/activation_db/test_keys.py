import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.builders import drawn

from aspen.activation_db.keys import KeyRecipe, decode_keys, encode_key, pool, recipe_for
from aspen.errors import InvalidInput
from aspen.models import ModelInfo
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, TokenIds

RECIPE = KeyRecipe(layers=(0, 2), dims=(4, 3), width=8)


def ids(*values: int) -> TokenIds:
    return np.array(values, dtype=np.int32)


def bodies(*pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.frombuffer(encode_key(vectors), dtype=np.uint8) for vectors in pooled])


def info(*, n_layers: int, width: int) -> ModelInfo:
    return ModelInfo("a", "A", n_layers, width, 1, 1, 10, 10, frozenset())


def test_pools_the_mean_weighted_by_token_without_the_first() -> None:
    hidden_states, tokens, weights = drawn(2, 4, 8), ids(3, 1, 0, 1), drawn(5, seed=1) ** 2
    for layer in range(2):
        total, share = np.zeros(8), 0.0
        for position in (1, 2, 3):
            total += weights[tokens[position]] * hidden_states[layer, position]
            share += float(weights[tokens[position]])
        pooled = pool(hidden_states, tokens, token_weights=weights)
        np.testing.assert_allclose(pooled[layer], total / share, rtol=1e-5)
    assert pooled.dtype == np.float32


def test_the_sink_token_does_not_reach_the_key() -> None:
    hidden_states, weights = drawn(2, 4, 8), np.ones(5, dtype=np.float32)
    flooded = hidden_states.copy()
    flooded[:, 0] = 1e6
    tokens = ids(1, 2, 3, 4)
    np.testing.assert_array_equal(
        pool(flooded, tokens, token_weights=weights), pool(hidden_states, tokens, token_weights=weights)
    )


def test_a_text_of_one_token_keeps_it() -> None:
    hidden_states = drawn(2, 1, 8)
    pooled = pool(hidden_states, ids(4), token_weights=np.ones(5, dtype=np.float32))
    np.testing.assert_array_equal(pooled, hidden_states[:, 0])


@given(
    arrays(np.float32, (2, 8), elements=st.just(0.0) | st.floats(-1e4, 1e4, width=32, allow_subnormal=False))
)
def test_encoded_keys_are_off_by_half_a_step_of_int8_at_most(pooled: FloatArray) -> None:
    (back,) = decode_keys(bodies(pooled), recipe=RECIPE)
    half_step = np.abs(pooled).max(axis=1, keepdims=True) / 127 / 2
    assert (np.abs(back - pooled) <= half_step * 1.001).all()


def test_encoded_keys_have_the_size_the_recipe_names_and_keep_their_order() -> None:
    first, second = drawn(2, 8), drawn(2, 8, seed=1)
    assert len(encode_key(first)) == RECIPE.key_size == 2 * (4 + 8)
    back = decode_keys(bodies(first, second), recipe=RECIPE)
    assert back.shape == (2, 2, 8)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[1], second, atol=0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_not_finite_are_refused_with_a_way_out(bad: float) -> None:
    pooled = drawn(2, 8)
    pooled[1, 3] = bad
    with pytest.raises(InvalidInput, match="float32"):
        encode_key(pooled)


def test_keys_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidInput, match="24 bytes, got 23"):
        decode_keys(np.zeros((1, 23), dtype=np.uint8), recipe=RECIPE)


def test_the_recipe_of_the_bundled_model_is_the_measured_one() -> None:
    recipe = recipe_for(info(n_layers=30, width=576))
    assert recipe == KeyRecipe(layers=(0, 9, 15), dims=(400, 192, 192), width=576)
    assert recipe.version == "1:0,9,15"


def test_layers_that_coincide_in_a_shallow_model_are_one() -> None:
    assert recipe_for(info(n_layers=1, width=4)) == KeyRecipe(layers=(0,), dims=(3,), width=4)
    assert recipe_for(FakeModel().info).layers == (0, 1, 2)
    assert min(recipe_for(info(n_layers=30, width=1)).dims) == 1
