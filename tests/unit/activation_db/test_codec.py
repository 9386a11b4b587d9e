from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from tests.fake_traces import traced

from aspen.activation_db.codec import as_stored, decode_trace, encode_trace
from aspen.errors import InvalidInput
from aspen.types import PooledActivations, Trace, TraceLevel

TRACE = traced()
ARRAYS = {"token_ids", "state_digests", "pooled", "attention", "hidden_states"}


def states_of(trace: Trace) -> np.ndarray:
    assert trace.hidden_states is not None
    return trace.hidden_states


@pytest.mark.parametrize("level", TraceLevel)
def test_everything_but_the_activations_comes_back_exactly(level: TraceLevel) -> None:
    back = decode_trace(encode_trace(TRACE, level=level))
    for field in fields(Trace):
        if field.name not in ARRAYS | {"level"}:
            assert getattr(back, field.name) == getattr(TRACE, field.name), field.name
    assert back.level is level
    np.testing.assert_array_equal(back.token_ids, TRACE.token_ids)
    np.testing.assert_array_equal(back.state_digests, TRACE.state_digests)
    assert back.attention.segments == TRACE.attention.segments
    for name in ("mass", "top_positions", "top_mass"):
        was, now = getattr(TRACE.attention, name), getattr(back.attention, name)
        assert was.dtype == now.dtype
        np.testing.assert_allclose(was, now, atol=0 if name == "top_positions" else 0.5 / 255 + 1e-3)
    np.testing.assert_allclose(back.pooled.prompt, TRACE.pooled.prompt, rtol=2**-11, atol=1e-6)
    np.testing.assert_allclose(back.pooled.reply, TRACE.pooled.reply, rtol=2**-11, atol=1e-6)


def test_the_pooled_level_keeps_no_activations() -> None:
    assert decode_trace(encode_trace(TRACE, level=TraceLevel.POOLED)).hidden_states is None


def test_int8_is_within_half_a_step_of_each_vectors_scale() -> None:
    exact = states_of(TRACE)
    back = states_of(decode_trace(encode_trace(TRACE, level=TraceLevel.INT8)))
    assert back.dtype == np.float32
    step = np.abs(exact).max(axis=-1, keepdims=True) / 127
    assert (np.abs(back - exact) <= step * (0.5 + 1e-4)).all()


def test_fp16_is_within_one_rounding() -> None:
    exact = states_of(TRACE)
    back = states_of(decode_trace(encode_trace(TRACE, level=TraceLevel.FP16)))
    np.testing.assert_allclose(back, exact, rtol=2**-11, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-38, 1e-20, 1.0, 65_504.0, 65_536.0, 1e20, 3.4e38])
@pytest.mark.parametrize("level", [TraceLevel.INT8, TraceLevel.FP16])
def test_activations_of_any_size_survive(level: TraceLevel, size: float) -> None:
    exact = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8)) * size
    values = exact.astype(np.float32)
    values[0, 0, 0] = size  # beside small ones, as massive activations are
    back = as_stored(values, level=level)
    assert np.isfinite(back).all()
    bound = np.abs(values).max(axis=-1, keepdims=True) / 127 * 0.5001 + 2.0**-125
    assert (np.abs(back.astype(np.float64) - values) <= bound).all()


def test_massive_activations_do_not_blur_their_own_fp16_neighbours() -> None:
    values = np.full((1, 1, 4), 3.0, dtype=np.float32)
    values[0, 0, 0] = 98_304  # 1.5 x 2**16
    np.testing.assert_array_equal(as_stored(values, level=TraceLevel.FP16), values)


def test_storing_again_what_was_read_loses_nothing_more() -> None:
    for level in (TraceLevel.INT8, TraceLevel.FP16):
        once = decode_trace(encode_trace(TRACE, level=level))
        twice = decode_trace(encode_trace(once))
        np.testing.assert_allclose(states_of(twice), states_of(once), rtol=1e-6)
        np.testing.assert_array_equal(twice.pooled.prompt, once.pooled.prompt)


def test_a_trace_can_be_stored_at_a_lower_level_only() -> None:
    stored = decode_trace(encode_trace(TRACE, level=TraceLevel.INT8))
    assert decode_trace(encode_trace(stored, level=TraceLevel.POOLED)).level is TraceLevel.POOLED
    with pytest.raises(InvalidInput, match="int8 cannot be stored as fp16"):
        encode_trace(stored, level=TraceLevel.FP16)
    with pytest.raises(InvalidInput, match="holds too little"):
        encode_trace(replace(TRACE, hidden_states=None))


@pytest.mark.parametrize("level", TraceLevel)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_layer_and_token(level: TraceLevel, bad: float) -> None:
    spoiled = states_of(TRACE).copy()
    spoiled[2, 5, 7] = bad
    with pytest.raises(InvalidInput, match="layer 2, token 5") as caught:
        encode_trace(replace(TRACE, hidden_states=spoiled), level=level)
    assert caught.value.details == {"layer": 2, "token": 5}


def test_pooled_and_attention_values_must_be_finite_too() -> None:
    pooled = TRACE.pooled.prompt.copy()
    pooled[1, 0] = np.nan
    with pytest.raises(InvalidInput, match="layer 1"):
        encode_trace(replace(TRACE, pooled=PooledActivations(prompt=pooled, reply=TRACE.pooled.reply)))
    mass = TRACE.attention.mass.copy()
    mass[0, 0, 0, 0] = np.nan
    with pytest.raises(InvalidInput, match="attention"):
        encode_trace(replace(TRACE, attention=replace(TRACE.attention, mass=mass)))


MISFITS: list[tuple[Callable[[Trace], Trace], str]] = [
    (lambda t: replace(t, prompt_length=0), "prompt has 0"),
    (lambda t: replace(t, prompt_length=len(t.token_ids)), "prompt has"),
    (lambda t: replace(t, token_ids=t.token_ids[:-1]), "state_digests"),
    (lambda t: replace(t, state_digests=t.state_digests[1:]), "state_digests"),
    (lambda t: replace(t, hidden_states=states_of(t)[:, 1:]), "states"),
    (lambda t: replace(t, attention=replace(t.attention, segments=("one",))), "attention_mass"),
    (lambda t: replace(t, segments=(*t.segments, replace(t.segments[0], stop=10_000))), "segments"),
]


@pytest.mark.parametrize(("spoil", "named"), MISFITS)
def test_parts_that_do_not_fit_are_refused(spoil: Callable[[Trace], Trace], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        encode_trace(spoil(TRACE))


def test_texts_and_times_of_all_kinds_come_back() -> None:
    odd = replace(
        TRACE,
        prompt="a\x00b \ud800 日本 🙂\n",
        reply="",
        conversation=None,
        speaker=None,
        created_at=datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    )
    back = decode_trace(encode_trace(odd))
    assert (back.prompt, back.reply, back.conversation, back.speaker) == (odd.prompt, "", None, None)
    assert back.created_at == odd.created_at
    assert back.created_at.tzinfo is UTC


def test_a_reply_of_one_token_comes_back() -> None:
    back = decode_trace(encode_trace(traced(max_tokens=1)))
    assert back.attention.mass.shape[2] == 0
    assert not back.pooled.reply.any()


def test_equal_traces_have_equal_bytes() -> None:
    again = replace(traced(), id=TRACE.id, created_at=TRACE.created_at)
    assert encode_trace(again) == encode_trace(TRACE)


def test_strided_arrays_are_stored_by_value() -> None:
    turned = replace(TRACE, hidden_states=np.asfortranarray(states_of(TRACE)))
    assert encode_trace(turned) == encode_trace(TRACE)
