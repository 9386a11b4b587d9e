from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.builders import FACTS, head_set

from aspen.activation_db import Calibration, KeyEncoder, head_match, recipe_for
from aspen.activation_db.capture import capture_pooled
from aspen.activation_db.keys import MAX_KEY_TOKENS, pool
from aspen.errors import InvalidInput
from aspen.models import Captured, HeadRef
from aspen.testing.fake_model import FakeModel
from aspen.types import TokenIds


class Overflowing(FakeModel):
    """Its activations are infinite, as in a float16 that is too narrow."""

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        captured = super().capture_with_heads(batch, layers=layers, heads=heads)
        return [replace(one, hidden_states=np.full_like(one.hidden_states, np.inf)) for one in captured]


def encoder(
    calibration: Calibration, model: FakeModel | None = None, *, heads: Sequence[HeadRef] = ()
) -> KeyEncoder:
    model = model or FakeModel()
    if heads:
        calibration = replace(calibration, heads=head_set(model, heads))
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
    prompt, partial_pass = encoder(calibration).encode_query(f"Long before that. {end}")
    expected, _ = encoder(calibration).encode_query(end)
    np.testing.assert_array_equal(prompt.pooled, expected.pooled)
    assert partial_pass.tokens == MAX_KEY_TOKENS


def test_a_prompt_runs_only_the_blocks_below_the_last_key_layer(calibration: Calibration) -> None:
    model = FakeModel(n_layers=3)
    _, partial_pass = encoder(calibration, model).encode_query("Mara?")
    assert (partial_pass.depth, partial_pass.n_layers, partial_pass.tokens) == (2, 3, 5)
    assert model.blocks_run == 2 * 5
    assert partial_pass.seconds > 0


def test_a_model_that_overflows_is_refused_for_memories_and_prompts(calibration: Calibration) -> None:
    broken = encoder(calibration, Overflowing())
    with pytest.raises(InvalidInput, match="not finite"):
        broken.encode(["Mara"])
    with pytest.raises(InvalidInput, match="not finite"):
        broken.encode_query("Mara?")


HEADS = (HeadRef(1, 0), HeadRef(2, 3))


def test_head_keys_are_of_the_tokens_that_the_key_is_made_of(calibration: Calibration) -> None:
    start = "x" * MAX_KEY_TOKENS
    model = FakeModel()
    short, long, other = encoder(calibration, model, heads=HEADS).encode([start, f"{start} and more", "Mara"])
    assert short.head_keys == long.head_keys
    heads = head_set(model, HEADS)
    assert [len(text.head_keys or b"") for text in (short, other)] == [
        heads.head_size + heads.token_size * (MAX_KEY_TOKENS - 1),
        heads.head_size + heads.token_size * 3,
    ]


def test_keys_are_the_same_with_and_without_heads(calibration: Calibration) -> None:
    with_heads, without = encoder(calibration, heads=HEADS), encoder(calibration)
    for one, other in zip(with_heads.encode(FACTS), without.encode(FACTS), strict=True):
        assert one.key == other.key
        assert other.head_keys is None
    asked, plain = (one.encode_query("Mara?")[0] for one in (with_heads, without))
    np.testing.assert_array_equal(asked.pooled, plain.pooled)
    assert plain.heads is None
    assert with_heads.heads == HEADS
    assert without.heads == ()


def test_a_prompt_and_memories_match(calibration: Calibration) -> None:
    model = FakeModel()
    keys = encoder(calibration, model, heads=HEADS)
    asked, partial_pass = keys.encode_query("Where does Mara live?")
    assert asked.heads is not None
    bodies = [text.head_keys or b"" for text in keys.encode(FACTS)]
    match = head_match(asked.heads, bodies, heads=head_set(model, HEADS))
    assert match.shape == (len(FACTS), 2)
    assert np.abs(match).max() > 0.001
    assert partial_pass.depth == 2


def test_one_pass_serves_key_and_heads(calibration: Calibration) -> None:
    model = FakeModel(n_layers=3)
    keys = encoder(calibration, model, heads=HEADS)
    model.blocks_run = 0
    keys.encode(["Mara"])
    assert model.blocks_run == 2 * 4
