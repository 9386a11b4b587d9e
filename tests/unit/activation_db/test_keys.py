import numpy as np
from tests.builders import drawn

from aspen.activation_db.keys import KeyRecipe, pool, recipe_for
from aspen.models import ModelInfo
from aspen.testing.fake_model import FakeModel
from aspen.types import TokenIds


def ids(*values: int) -> TokenIds:
    return np.array(values, dtype=np.int32)


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


def test_the_recipe_of_the_bundled_model_is_the_measured_one() -> None:
    recipe = recipe_for(info(n_layers=30, width=576))
    assert recipe == KeyRecipe(layers=(0, 9, 15), dims=(400, 192, 192), width=576)
    assert recipe.version == "1:0,9,15"


def test_layers_that_coincide_in_a_shallow_model_are_one() -> None:
    assert recipe_for(info(n_layers=1, width=4)) == KeyRecipe(layers=(0,), dims=(3,), width=4)
    assert recipe_for(FakeModel().info).layers == (0, 1, 2)
    assert min(recipe_for(info(n_layers=30, width=1)).dims) == 1
