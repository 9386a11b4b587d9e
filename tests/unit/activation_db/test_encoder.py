import numpy as np
import pytest
from tests.builders import FACTS

from aspen.activation_db import Calibration, KeyEncoder, recipe_for
from aspen.activation_db.capture import capture_pooled
from aspen.activation_db.keys import MAX_KEY_TOKENS, pool
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, TokenIds


class Overflowing(FakeModel):
    """Its activations are infinite, as in a float16 that is too narrow."""

    def capture(self, batch: list[TokenIds], *, layers: list[int]) -> list[FloatArray]:  # type: ignore[override]
        return [np.full_like(states, np.inf) for states in super().capture(batch, layers=layers)]


def encoder(calibration: Calibration, model: FakeModel | None = None) -> KeyEncoder:
    model = model or FakeModel()
    return KeyEncoder(model, recipe=recipe_for(model.info), calibration=calibration)


def test_many_texts_pool_as_each_alone_in_the_order_given(calibration: Calibration) -> None:
    model = FakeModel()
    recipe, weights = recipe_for(model.info), calibration.token_weights
    # Lengths out of order, and so many tokens that they take several passes.
    batch = [model.tokenize(text) for text in ("word " * 60, "a", *FACTS, "word " * 90, "word " * 120, "b")]
    together = capture_pooled(model, batch, recipe=recipe, token_weights=weights)
    for ids, pooled in zip(batch, together, strict=True):
        (alone,) = model.capture([ids], layers=recipe.layers)
        np.testing.assert_allclose(pooled, pool(alone, ids, token_weights=weights), rtol=1e-4, atol=1e-5)


def test_no_texts_make_no_keys(calibration: Calibration) -> None:
    assert encoder(calibration).encode([]) == []


def test_the_beginning_of_a_long_memory_makes_its_key_and_all_its_tokens_count(
    calibration: Calibration,
) -> None:
    start = "x" * MAX_KEY_TOKENS
    short, long = encoder(calibration).encode([start, f"{start} and more"])
    assert long.key == short.key
    assert (short.token_count, long.token_count) == (MAX_KEY_TOKENS, MAX_KEY_TOKENS + 9)


def test_of_a_long_prompt_the_end_counts(calibration: Calibration) -> None:
    end = "Where does Mara live? " * 20
    pooled, partial_pass = encoder(calibration).encode_prompt(f"Long before that. {end}")
    expected, _ = encoder(calibration).encode_prompt(end)
    np.testing.assert_array_equal(pooled, expected)
    assert partial_pass.tokens == MAX_KEY_TOKENS


def test_a_prompt_runs_only_the_blocks_below_the_last_key_layer(calibration: Calibration) -> None:
    model = FakeModel(n_layers=3)
    _, partial_pass = encoder(calibration, model).encode_prompt("Mara?")
    assert (partial_pass.depth, partial_pass.n_layers, partial_pass.tokens) == (2, 3, 5)
    assert model.blocks_run == 2 * 5
    assert partial_pass.seconds > 0


def test_a_model_that_overflows_is_refused_for_memories_and_prompts(calibration: Calibration) -> None:
    broken = encoder(calibration, Overflowing())
    with pytest.raises(InvalidInput, match="not finite"):
        broken.encode(["Mara"])
    with pytest.raises(InvalidInput, match="not finite"):
        broken.encode_prompt("Mara?")
