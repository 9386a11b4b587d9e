"""The bundled model itself, in both runtimes: SmolLM2-135M-Instruct, 30 layers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from aspen.activation_db import Calibration, recipe_for
from aspen.activation_db.calibration import calibrate, file_name
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import RUNTIMES, Generation, HeadRef, LanguageModel, bundled, generate, load_model
from aspen.models._transformers import convert_gguf
from aspen.models.fingerprint import file_sha256
from aspen.types import Message, Role, SamplerSettings

pytestmark = pytest.mark.slow

# The notes come first: behind "You are a helpful AI assistant." this small model answers "São José".
NOTE = "Notes about the user:\n- The user said: My sister Mara moved to Lisbon in March."
QUESTION = Message(Role.USER, "Where does my sister live?")


@pytest.fixture(scope="module")
def cache() -> Path:
    """A folder that lasts: unpacking takes half a minute, and the manifest guards what lies there."""
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    return Config.from_environment().cache_dir


@pytest.fixture(scope="module", params=RUNTIMES)
def model(request: pytest.FixtureRequest, cache: Path) -> Iterator[LanguageModel]:
    threads = torch.get_num_threads()
    yield load_model("bundled", runtime=request.param, cache_dir=cache, device="cpu", threads=1)
    torch.set_num_threads(threads)


def answer(model: LanguageModel, *messages: Message, seed: int = 1, temperature: float = 0.0) -> Generation:
    prompt = model.apply_chat_template(messages)
    return generate(
        model,
        session=model.start_session(),
        prompt_ids=prompt.token_ids,
        settings=SamplerSettings(temperature=temperature),
        seed=seed,
        max_tokens=40,
    )


def test_its_shape(model: LanguageModel) -> None:
    info = model.info
    assert (info.n_layers, info.width, info.n_heads, info.n_kv_heads) == (30, 576, 9, 3)
    assert info.context_length == 8192
    assert "<|im_end|>" in [
        model.detokenize(np.array([stop], dtype=np.int32), skip_special=False) for stop in info.stop_ids
    ]
    assert model.fingerprint.quantisation == "Q4_1"
    assert file_sha256(bundled.find_source()) == model.fingerprint.weights


def test_the_template_is_its_own(model: LanguageModel, cache: Path) -> None:
    messages = [Message(Role.SYSTEM, NOTE), QUESTION, Message(Role.ASSISTANT, "In Lisbon."), QUESTION]
    unpacked = bundled.prepare_bundled(cache, convert=convert_gguf).folder
    expected = AutoTokenizer.from_pretrained(unpacked).apply_chat_template(
        [{"role": m.role.value, "content": m.content} for m in messages],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=False,
    )
    assert model.apply_chat_template(messages).token_ids.tolist() == expected
    without_system = model.apply_chat_template([QUESTION])  # its template brings a system message of its own
    span = without_system.spans[0]
    assert model.detokenize(without_system.token_ids[span.start : span.stop]) == QUESTION.content


def test_its_partial_pass_equals_the_full_one(model: LanguageModel) -> None:
    ids = model.tokenize("My sister Mara moved to Lisbon in March because of her work at the aquarium.")
    full = model.capture([ids], layers=range(31))[0]
    for layer in (0, 9, 15, 27, 30):
        assert np.array_equal(model.capture([ids], layers=[layer])[0][0], full[layer])


def test_its_heads_are_those_of_its_attention(model: LanguageModel) -> None:
    ids = model.tokenize("My sister Mara moved to Lisbon in March because of her work at the aquarium.")
    heads = [HeadRef(15, 7), HeadRef(9, 2), HeadRef(15, 6)]
    with model.recording() as recording:
        model.start_session().prefill(ids)
    (captured,) = model.capture_with_heads([ids], layers=[0], heads=heads)
    for ref, query in zip(heads, captured.queries, strict=True):
        rotary = model.head_attention(ref.block).rotary
        assert rotary is not None
        expected = recording.attention_inputs(ref.block).queries[ref.head]
        np.testing.assert_allclose(rotary.rotate(query, np.arange(len(ids))), expected, atol=1e-3)
    assert model.info.key_heads(heads) == (HeadRef(15, 2), HeadRef(9, 0))


def test_the_same_seed_says_the_same(model: LanguageModel) -> None:
    replies = []
    for seed in (5, 5, 6):
        with model.recording() as recording:
            reply = answer(model, Message(Role.USER, "Tell me a story."), seed=seed, temperature=1.0)
        replies.append((reply.token_ids, recording.hidden_states()))
    assert np.array_equal(replies[0][0], replies[1][0])
    assert np.array_equal(replies[0][1], replies[1][1])
    assert not np.array_equal(replies[0][0], replies[2][0])


def test_a_note_in_the_system_message_lets_it_answer(model: LanguageModel) -> None:
    assert "Lisbon" in answer(model, Message(Role.SYSTEM, NOTE), QUESTION).text
    assert "Lisbon" not in answer(model, QUESTION).text


@pytest.mark.long
def test_the_shipped_calibration_is_that_of_the_shipped_text(model: LanguageModel) -> None:
    recipe = recipe_for(model.info)
    shipped = files("aspen.activation_db") / "data" / file_name(model, recipe=recipe)
    kept = Calibration.from_bytes(shipped.read_bytes())
    made = calibrate(model, recipe=recipe)
    np.testing.assert_allclose(kept.token_weights, made.token_weights, atol=2e-3)
    np.testing.assert_allclose(
        kept.prompt_offset, made.prompt_offset, atol=1e-2 * np.abs(made.prompt_offset).max()
    )
    np.testing.assert_allclose(kept.turns.mean, made.turns.mean, atol=1e-3 * np.abs(made.turns.mean).max())
    assert kept.turns.count == made.turns.count
    assert kept.heads is not None
    assert made.heads is not None
    # The version holds a digest of floats, whose last bits are the processor's: the shipped one counts everywhere.
    assert kept.heads.heads == made.heads.heads
    assert kept.heads.key_rows == made.heads.key_rows
    assert kept.heads.attention[0].scale == pytest.approx(64**-0.5)
    np.testing.assert_allclose(kept.heads.null.queries, made.heads.null.queries, atol=1e-3)
    np.testing.assert_allclose(kept.heads.null.keys, made.heads.null.keys, atol=1e-3)
