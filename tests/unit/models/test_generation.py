"""Generation: reproducible, bounded by the context, streamed in whole characters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.tiny_models import CONTEXT, tiny_model

from aspen.errors import InvalidInput, PromptTooLong
from aspen.models import Generation, generate
from aspen.models._transformers.model import TransformersModel
from aspen.types import SamplerSettings

HOT = SamplerSettings(temperature=3.0, top_p=1.0)  # draws bytes of every kind, broken UTF-8 among them


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    return tiny_model()


def run(model: Any, *, prompt: int = 5, seed: int = 1, max_tokens: int = 20, **options: Any) -> Generation:
    session = options.pop("session", None) or model.start_session()
    ids = np.arange(10, 10 + prompt, dtype=np.int32)
    settings = options.pop("settings", HOT)
    return generate(
        model, session=session, prompt_ids=ids, settings=settings, seed=seed, max_tokens=max_tokens, **options
    )


def test_same_seed_same_tokens_and_bit_equal_activations(model: TransformersModel) -> None:
    runs = []
    for seed in (7, 7, 8):
        with model.recording() as recording:
            generation = run(model, seed=seed)
        runs.append((generation.token_ids, recording.hidden_states()))
    assert np.array_equal(runs[0][0], runs[1][0])
    assert np.array_equal(runs[0][1], runs[1][1])
    assert not np.array_equal(runs[0][0], runs[2][0])


def test_the_last_token_is_not_fed_back(model: TransformersModel) -> None:
    session = model.start_session()
    generation = run(model, session=session)
    assert session.length == 5 + len(generation.token_ids) - 1


def test_streamed_pieces_are_the_text(model: TransformersModel) -> None:
    for seed in range(40):
        pieces: list[str] = []
        generation = run(model, seed=seed, max_tokens=30, on_text=pieces.append)
        assert "".join(pieces) == generation.text
        said = [i for i in generation.token_ids if i not in model.info.stop_ids]
        assert generation.text == model.detokenize(np.array(said, dtype=np.int32))


class Scripted:
    """A model whose logits spell a given reply."""

    def __init__(self, model: TransformersModel, reply: list[int]) -> None:
        self._model, self._reply, self.length = model, reply, 0
        self.info, self.detokenize = model.info, model.detokenize

    def prefill(self, token_ids: Any) -> Any:
        self.length += len(token_ids)
        logits = np.zeros(self.info.vocab_size, dtype=np.float32)
        logits[self._reply.pop(0)] = 50
        return logits

    def decode(self, token_id: int) -> Any:
        return self.prefill([token_id])


def test_a_character_of_several_tokens_is_streamed_whole(model: TransformersModel) -> None:
    text = "naïve 🙂 日本語 end"
    stop = max(model.info.stop_ids)
    scripted = Scripted(model, [*model.tokenize(text).tolist(), stop])
    pieces: list[str] = []
    generation = run(scripted, session=scripted, max_tokens=100, on_text=pieces.append)
    assert "".join(pieces) == generation.text == text
    assert all("\ufffd" not in piece for piece in pieces)
    assert len(pieces) > 5
    assert generation.finish_reason == "stop"
    assert generation.token_ids[-1] == stop


def test_text_that_ends_inside_a_character_is_told(model: TransformersModel) -> None:
    scripted = Scripted(model, model.tokenize("a🙂").tolist())
    generation = run(scripted, session=scripted, max_tokens=3)
    assert generation.text.startswith("a")
    assert generation.text.endswith("\ufffd")


def test_length_is_bounded_by_max_tokens_and_by_the_context(model: TransformersModel) -> None:
    calm = dataclasses.replace(model.info, stop_ids=frozenset())
    model = tiny_model()
    model._info = calm
    assert len(run(model, max_tokens=4).token_ids) == 4
    generation = run(model, prompt=CONTEXT - 3, max_tokens=1000)
    assert len(generation.token_ids) == 3
    assert generation.finish_reason == "length"


def test_prompts_that_leave_no_room_are_refused(model: TransformersModel) -> None:
    session = model.start_session()
    with pytest.raises(PromptTooLong) as caught:
        run(model, session=session, prompt=CONTEXT)
    assert caught.value.details == {"prompt_tokens": CONTEXT, "context_length": CONTEXT}
    assert session.length == 0


@pytest.mark.parametrize("wrong", [{"prompt": 0}, {"max_tokens": 0}, {"max_tokens": True}, {"seed": -1}])
def test_impossible_requests_are_refused_before_the_session_is_touched(
    model: TransformersModel, wrong: Any
) -> None:
    session = model.start_session()
    with pytest.raises(InvalidInput):
        run(model, session=session, **wrong)
    assert session.length == 0


def test_times_are_told(model: TransformersModel) -> None:
    generation = run(model)
    assert generation.prefill_seconds > 0
    assert generation.decode_seconds > 0
