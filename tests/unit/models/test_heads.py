"""Queries and keys of single heads against what enters the models' own attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.tiny_models import BUILDERS, LAYERS, VOCABULARY, tiny_model
from tests.unit.models.test_capture import some_ids
from transformers import BloomConfig, BloomForCausalLM, OlmoeConfig, OlmoeForCausalLM

from aspen.errors import InvalidInput, ModelError
from aspen.models import Captured, HeadRef, LanguageModel, Rotary
from aspen.models._transformers.model import TransformersModel
from aspen.testing.fake_model import FakeModel

ALL = [HeadRef(block, head) for block in range(LAYERS) for head in range(4)]


@pytest.fixture(params=[*sorted(BUILDERS), "fake"])
def model(request: pytest.FixtureRequest) -> Any:
    return FakeModel(n_layers=LAYERS) if request.param == "fake" else tiny_model(request.param)


def recorded(model: LanguageModel, ids: Any) -> Any:
    with model.recording() as recording:
        model.start_session().prefill(ids)
    return recording


def turned(model: LanguageModel, vectors: Any, ref: HeadRef) -> Any:
    rotary = model.head_attention(ref.block).rotary
    return vectors if rotary is None else rotary.rotate(vectors, np.arange(len(vectors)))


def test_rotated_they_are_those_that_enter_attention(model: LanguageModel) -> None:
    ids = some_ids(17) % model.info.vocab_size
    recording = recorded(model, ids)
    (captured,) = model.capture_with_heads([ids], layers=[0], heads=ALL)
    assert captured.queries.dtype == captured.keys.dtype == np.float32
    for ref, query in zip(ALL, captured.queries, strict=True):
        expected = recording.attention_inputs(ref.block).queries[ref.head]
        np.testing.assert_allclose(turned(model, query, ref), expected, rtol=1e-4, atol=1e-4)
    keys = model.info.key_heads(ALL)
    assert len(keys) == LAYERS * model.info.n_kv_heads
    for ref, key in zip(keys, captured.keys, strict=True):
        expected = recording.attention_inputs(ref.block).keys[ref.head]
        np.testing.assert_allclose(turned(model, key, ref), expected, rtol=1e-4, atol=1e-4)


def test_how_they_meet_is_what_the_recording_says(model: LanguageModel) -> None:
    inputs = recorded(model, some_ids(4) % model.info.vocab_size).attention_inputs(1)
    attention = model.head_attention(1)
    assert (attention.scale, attention.softcap) == (inputs.scale, inputs.softcap)


def test_hidden_states_come_out_of_the_same_pass(model: LanguageModel) -> None:
    batch = [some_ids(count, seed=count) % model.info.vocab_size for count in (3, 11, 1)]
    together = model.capture_with_heads(batch, layers=[2, 0], heads=[HeadRef(1, 3), HeadRef(0, 1)])
    for ids, captured in zip(batch, together, strict=True):
        (alone,) = model.capture([ids], layers=[2, 0])
        np.testing.assert_allclose(captured.hidden_states, alone, rtol=1e-4, atol=1e-4)
        (one,) = model.capture_with_heads([ids], layers=[0], heads=ALL)
        expected = one.queries[[ALL.index(HeadRef(1, 3)), ALL.index(HeadRef(0, 1))]]
        np.testing.assert_allclose(captured.queries, expected, rtol=1e-4, atol=1e-4)
        assert captured.keys.shape == (2, len(ids), captured.queries.shape[2])


def test_a_pass_ends_before_the_block_of_the_last_head() -> None:
    ran: list[int] = []
    model = tiny_model()
    for index, block in enumerate(model._blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    model.capture_with_heads([some_ids(5)], layers=[0, 1], heads=[HeadRef(2, 0)])
    assert ran == [0, 1]
    fake = FakeModel(n_layers=3)
    fake.capture_with_heads([fake.tokenize("Mara")], layers=[1], heads=[HeadRef(2, 0)])
    assert fake.blocks_run == 2 * 4


def test_heads_that_share_keys_share_them() -> None:
    model = FakeModel(n_heads=4, n_kv_heads=2)
    heads = [HeadRef(1, 3), HeadRef(0, 0), HeadRef(1, 2)]
    assert model.info.key_heads(heads) == (HeadRef(1, 1), HeadRef(0, 0))
    (captured,) = model.capture_with_heads([model.tokenize("Mara")], layers=[0], heads=heads)
    assert captured.queries.shape == (3, 4, 8)
    assert captured.keys.shape == (2, 4, 8)


def test_no_heads_make_empty_arrays(model: LanguageModel) -> None:
    (captured,) = model.capture_with_heads([np.array([3], dtype=np.int32)], layers=[0], heads=())
    assert captured.queries.size == captured.keys.size == 0


@pytest.mark.parametrize("ref", [HeadRef(-1, 0), HeadRef(LAYERS, 0), HeadRef(0, 4), HeadRef(0, -1)])
def test_unknown_heads_are_refused(model: LanguageModel, ref: HeadRef) -> None:
    with pytest.raises(InvalidInput, match="head"):
        model.capture_with_heads([np.array([3], dtype=np.int32)], layers=[0], heads=[ref])


def test_gpt_2_has_no_rotary_embedding() -> None:
    assert tiny_model("gpt2").head_attention(0).rotary is None


def test_a_partial_rotary_embedding_leaves_the_last_dimensions() -> None:
    rotary = Rotary(np.array([1.0], dtype=np.float32), factor=2.0)
    vectors = np.arange(8, dtype=np.float32).reshape(2, 4)
    rotated = rotary.rotate(vectors, np.array([0, 1]))
    np.testing.assert_allclose(rotated[0], [0, 2, 2, 3])
    cos, sin = np.cos(1.0), np.sin(1.0)
    np.testing.assert_allclose(
        rotated[1], [2 * (4 * cos - 5 * sin), 2 * (5 * cos + 4 * sin), 6, 7], rtol=1e-6
    )


def other(hf: Any) -> TransformersModel:
    from tests.tiny_models import tiny_tokenizer  # noqa: PLC0415

    return TransformersModel(hf, tokenizer=tiny_tokenizer(), name="other", weights_hash=lambda: "0" * 64)


@pytest.fixture(params=["bloom", "olmoe"])
def unknown(request: pytest.FixtureRequest) -> TransformersModel:
    if request.param == "bloom":
        return other(
            BloomForCausalLM(BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4))
        )
    settings = {"hidden_size": 32, "intermediate_size": 16, "num_experts": 2, "num_experts_per_tok": 1}
    return other(
        OlmoeForCausalLM(
            OlmoeConfig(
                vocab_size=VOCABULARY,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                pad_token_id=0,
                **settings,
            )
        )
    )


def test_an_architecture_of_another_kind_is_refused_with_its_name(unknown: TransformersModel) -> None:
    with pytest.raises(ModelError, match=r"Bloom|Olmoe"):
        unknown.head_attention(0)


def test_captured_values_are_frozen() -> None:
    (captured,) = FakeModel().capture_with_heads([np.array([1], dtype=np.int32)], layers=[0], heads=())
    with pytest.raises(AttributeError):
        captured.queries = captured.keys  # type: ignore[misc]
    assert isinstance(captured, Captured)
