"""Sessions and their recordings against plain transformers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_models import BUILDERS, CONTEXT, LAYERS, VOCABULARY, WINDOW, tiny_model, tiny_tokenizer
from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

from aspen.errors import InvalidInput, ModelError, PromptTooLong
from aspen.models import AttentionInputs
from aspen.models._transformers.model import TransformersModel

PROMPT, FED = 9, 16  # tokens prefilled, tokens fed in all: beyond the sliding window both


def some_ids(count: int, *, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, VOCABULARY, count).astype(np.int32)


@pytest.fixture(params=sorted(BUILDERS))
def model(request: pytest.FixtureRequest) -> TransformersModel:
    return tiny_model(request.param)


def feed(model: TransformersModel, ids: Any, *, prompt: int = PROMPT) -> list[Any]:
    session = model.start_session()
    logits = [session.prefill(ids[:prompt])]
    logits += [session.decode(int(token)) for token in ids[prompt:]]
    assert session.length == len(ids)
    return logits


def plain(model: TransformersModel, ids: Any, **options: Any) -> Any:
    with torch.inference_mode():
        return model._hf(torch.from_numpy(ids.astype(np.int64))[None], **options)


def attention_of(inputs: AttentionInputs) -> Any:
    """[H, T, T], as the docstring of AttentionInputs says."""
    keys = np.repeat(inputs.keys, len(inputs.queries) // len(inputs.keys), axis=0)
    scores = inputs.scale * inputs.queries @ keys.transpose(0, 2, 1)
    if inputs.softcap is not None:
        scores = inputs.softcap * np.tanh(scores / inputs.softcap)
    position = np.arange(scores.shape[-1])
    visible = position[None, :] <= position[:, None]
    if inputs.window is not None:
        visible &= position[None, :] > position[:, None] - inputs.window
    scores = np.where(visible, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def test_session_logits_equal_plain_forward(model: TransformersModel) -> None:
    ids = some_ids(FED)
    expected = plain(model, ids).logits[0].numpy()
    for step, logits in enumerate(feed(model, ids)):
        assert logits.dtype == np.float32
        assert logits.shape == (VOCABULARY,)
        np.testing.assert_allclose(logits, expected[PROMPT - 1 + step], rtol=1e-3, atol=1e-3)


def test_prefill_in_parts_equals_prefill_at_once(model: TransformersModel) -> None:
    ids = some_ids(FED)
    session = model.start_session()
    session.prefill(ids[:4])
    np.testing.assert_allclose(
        session.prefill(ids[4:]), model.start_session().prefill(ids), rtol=1e-3, atol=1e-3
    )


def test_recording_equals_plain_hidden_states(model: TransformersModel) -> None:
    ids = some_ids(FED)
    with model.recording() as recording:
        feed(model, ids)
    states = recording.hidden_states()
    assert states.shape == (LAYERS + 1, FED, model.info.width)
    assert np.array_equal(recording.token_ids(), ids)
    expected = model.capture([ids], layers=range(LAYERS + 1))[0]  # equal to plain ones, see test_capture
    np.testing.assert_allclose(states, expected, rtol=1e-3, atol=1e-3)


def test_prefill_is_recorded_bit_for_bit(model: TransformersModel) -> None:
    ids = some_ids(PROMPT)
    with model.recording() as recording:
        model.start_session().prefill(ids)
    assert np.array_equal(recording.hidden_states(), model.capture([ids], layers=range(LAYERS + 1))[0])


def test_attention_inputs_give_the_attention_of_eager(model: TransformersModel) -> None:
    ids = some_ids(FED)
    with model.recording() as recording:
        feed(model, ids)
    model._hf.set_attn_implementation("eager")
    expected = plain(model, ids, output_attentions=True).attentions
    for layer in range(LAYERS):
        inputs = recording.attention_inputs(layer)
        assert inputs.queries.shape[:2] == (model.info.n_heads, FED)
        assert inputs.keys.shape[:2] == (model.info.n_kv_heads, FED)
        np.testing.assert_allclose(attention_of(inputs), expected[layer][0].numpy(), atol=1e-4)


def test_window_and_softcap_are_told() -> None:
    told = {}
    for architecture in ("llama", "mistral", "gemma2"):
        model = tiny_model(architecture)
        with model.recording() as recording:
            model.start_session().prefill(some_ids(4))
        told[architecture] = [
            (recording.attention_inputs(layer).window, recording.attention_inputs(layer).softcap)
            for layer in range(2)
        ]
    assert told["llama"] == [(None, None)] * 2
    assert told["mistral"] == [(WINDOW, None)] * 2
    assert told["gemma2"] == [(WINDOW, 0.05), (None, 0.05)]


def test_recording_changes_no_number(model: TransformersModel) -> None:
    ids = some_ids(FED)
    without = feed(model, ids)
    with model.recording():
        recorded = feed(model, ids)
    assert np.array_equal(without, recorded)


def test_nothing_is_left_behind(model: TransformersModel) -> None:
    before = model._hf.config._attn_implementation
    with pytest.raises(RuntimeError), model.recording():
        raise RuntimeError
    assert model._hf.config._attn_implementation == before
    assert all(not block._forward_hooks and not block._forward_pre_hooks for block in model._blocks)


def test_only_the_first_session_inside_is_recorded() -> None:
    model = tiny_model()
    outside = model.start_session()
    with model.recording() as recording:
        outside.prefill(some_ids(3))
        with pytest.raises(InvalidInput):
            recording.hidden_states()
        inside, second = model.start_session(), model.start_session()
        inside.prefill(some_ids(5, seed=1))
        second.prefill(some_ids(6, seed=2))
        model.capture([some_ids(7)], layers=[2])
        inside.decode(3)
    inside.decode(4)
    assert np.array_equal(recording.token_ids(), [*some_ids(5, seed=1), 3])
    assert recording.hidden_states().shape[1] == 6


def test_two_sessions_do_not_disturb_each_other(model: TransformersModel) -> None:
    first, second = some_ids(FED, seed=1), some_ids(FED, seed=2)
    alone = feed(model, first)
    a, b = model.start_session(), model.start_session()
    mixed = [a.prefill(first[:PROMPT])]
    b.prefill(second[:PROMPT])
    for mine, other in zip(first[PROMPT:], second[PROMPT:], strict=True):
        mixed.append(a.decode(int(mine)))
        b.decode(int(other))
    assert np.array_equal(alone, mixed)


def test_two_models_record_side_by_side() -> None:
    models = [tiny_model(seed=seed) for seed in (1, 2)]
    alone = []
    for model in models:
        with model.recording() as recording:
            feed(model, some_ids(FED))
        alone.append(recording.attention_inputs(2).queries)
    together: list[Any] = [None, None]

    def run(index: int) -> None:
        with models[index].recording() as recording:
            feed(models[index], some_ids(FED))
        together[index] = recording.attention_inputs(2).queries

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_recording_lets_only_its_thread_start_sessions() -> None:
    model = tiny_model()
    done = threading.Event()

    def other() -> None:
        model.start_session()
        done.set()

    with model.recording():
        thread = threading.Thread(target=other)
        thread.start()
        assert not done.wait(0.2)
    thread.join(5)
    assert done.is_set()


def test_what_other_threads_capture_goes_on_beside_a_recording_and_changes_nothing_in_it() -> None:
    model = tiny_model()
    alone = model.capture([some_ids(5)], layers=[2])[0]
    with model.recording() as quiet:
        feed(model, some_ids(FED))
    captured: list[Any] = []
    with model.recording() as busy:
        session = model.start_session()
        session.prefill(some_ids(FED)[:-2])
        for token in some_ids(FED)[-2:].tolist():
            thread = threading.Thread(
                target=lambda: captured.append(model.capture([some_ids(5)], layers=[2])[0])
            )
            thread.start()
            thread.join(10)
            session.decode(token)
    assert len(captured) == 2
    assert all(np.array_equal(one, alone) for one in captured)
    assert np.array_equal(busy.token_ids(), quiet.token_ids())
    with model.recording() as again:
        session = model.start_session()
        session.prefill(some_ids(FED)[:-2])
        for token in some_ids(FED)[-2:].tolist():
            session.decode(token)
    assert np.array_equal(busy.hidden_states(), again.hidden_states())
    assert np.array_equal(busy.attention_inputs(2).queries, again.attention_inputs(2).queries)


def test_a_second_recording_inside_is_refused() -> None:
    model = tiny_model()
    with model.recording(), pytest.raises(ModelError), model.recording():
        pass


def test_an_interrupted_step_is_forgotten_and_ends_the_session() -> None:
    model = tiny_model()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with model.recording() as recording:
        session = model.start_session()
        session.prefill(some_ids(4))
        handle = model._blocks[2].register_forward_hook(interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.decode(1)
        handle.remove()
        with pytest.raises(ModelError):
            session.decode(1)
    assert recording.hidden_states().shape[1] == 4


def test_attention_that_cannot_be_described_is_refused_hidden_states_are_not() -> None:
    bloom = BloomForCausalLM(BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=4, n_head=4)).eval()
    model = TransformersModel(bloom, tokenizer=tiny_tokenizer(), name="bloom", weights_hash=str)
    with model.recording() as recording:
        model.start_session().prefill(some_ids(4))
    assert recording.hidden_states().shape == (LAYERS + 1, 4, 32)
    with pytest.raises(ModelError, match="Bloom"):
        recording.attention_inputs(0)


def test_models_without_attention_are_refused() -> None:
    mamba = MambaForCausalLM(MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=4))
    with pytest.raises(ModelError, match="num_attention_heads"):
        TransformersModel(mamba, tokenizer=tiny_tokenizer(), name="mamba", weights_hash=str)


def test_unknown_attention_layers_are_refused() -> None:
    model = tiny_model()
    with model.recording() as recording:
        model.start_session().prefill(some_ids(4))
    with pytest.raises(InvalidInput):
        recording.attention_inputs(LAYERS)


def test_the_context_cannot_overflow() -> None:
    session = tiny_model().start_session()
    session.prefill(some_ids(CONTEXT))
    with pytest.raises(PromptTooLong):
        session.decode(1)
    with pytest.raises(InvalidInput):
        tiny_model().start_session().decode(VOCABULARY)
