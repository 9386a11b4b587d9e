"""Long sequences in llama.cpp: prompts of several passes, and contexts that grow."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny_gguf import GGUF_MODELS, tiny_llama_cpp

from aspen.errors import ModelError, PromptTooLong
from aspen.models._llama_cpp.context import PASS_TOKENS, Context
from aspen.models._llama_cpp.model import LlamaCppModel
from aspen.models.memory import SMALLEST_CONTEXT
from aspen.testing.model_suite import some_ids
from aspen.types import FloatArray, TokenIds

WINDOWED = ("gemma2",)
LONG, MORE = SMALLEST_CONTEXT - 12, 120


@pytest.fixture(scope="module", params=GGUF_MODELS)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> LlamaCppModel:
    return tiny_llama_cpp(architecture, tmp_path_factory.mktemp("long"), context=2100)


def close(one: FloatArray, other: FloatArray) -> None:
    np.testing.assert_allclose(one, other, rtol=0, atol=0.02 * float(np.std(other)))


@pytest.mark.parametrize("count", [1, 2, PASS_TOKENS - 1, PASS_TOKENS, PASS_TOKENS + 1, 2 * PASS_TOKENS + 2])
def test_recording_changes_no_number_however_a_prompt_is_cut(model: LlamaCppModel, count: int) -> None:
    ids = some_ids(model, count)
    expected = model.start_session().prefill(ids)
    with model.recording() as recording:
        logits = model.start_session().prefill(ids)
    np.testing.assert_array_equal(logits, expected)
    states = recording.hidden_states()
    assert states.shape[1] == count
    close(states, model.capture([ids], layers=range(model.info.n_layers + 1))[0])
    assert recording.attention_inputs(1).keys.shape[1] == count


def test_what_is_read_together_with_the_next_is_what_was_there(
    model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded() -> FloatArray:
        with model.recording() as recording:
            session = model.start_session()
            session.prefill(some_ids(model, 9))
            session.decode(3)
        return recording.hidden_states()

    expected, parts = recorded(), model._parts
    assert all(len(places.lasting) == model.info.n_layers for places in parts.places)
    one, several = (replace(places, lasting=frozenset()) for places in parts.places)
    monkeypatch.setattr(model, "_parts", replace(parts, places=(one, several)))
    np.testing.assert_array_equal(recorded(), expected)


def test_a_long_prompt_lets_others_in_between(model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, order = threading.Event(), []
    original = Context.run

    def run(self: Context, token_ids: TokenIds, *, start: int, **options: Any) -> None:
        original(self, token_ids, start=start, **options)
        order.append(len(token_ids))
        begun.set()

    def capture() -> None:
        begun.wait(60)
        model.capture([some_ids(model, 3)], layers=[0])

    monkeypatch.setattr(Context, "run", run)
    other = threading.Thread(target=capture)
    other.start()
    model.start_session().prefill(some_ids(model, 2000))
    other.join(60)
    assert order.index(3) < len(order) - 1, "the short text waited for the whole prompt"


def test_a_sequence_that_grew_goes_on_as_if_it_had_room_from_the_start(
    model: LlamaCppModel, architecture: str
) -> None:
    ids = some_ids(model, LONG + MORE)
    with model.recording() as recording:
        session = model.start_session()
        session.prefill(ids[:LONG])
        grown = session.prefill(ids[LONG:])
    roomy = model.start_session()
    roomy._reserve(len(ids))
    roomy.prefill(ids[:LONG])
    expected = roomy.prefill(ids[LONG:])
    # Of a window only the tokens that it still shows are moved: they lie elsewhere then, and are added up otherwise.
    (close if architecture in WINDOWED else np.testing.assert_array_equal)(grown, expected)
    assert recording.attention_inputs(1).keys.shape[1] == len(ids)


@pytest.mark.parametrize("length", [100, LONG - 3, LONG, LONG + 7])
def test_rewinding_over_a_growth_is_right_or_refused(
    model: LlamaCppModel, architecture: str, length: int
) -> None:
    ids, rest = some_ids(model, LONG + MORE), some_ids(model, 5, seed=9)
    session = model.start_session()
    session.prefill(ids[:LONG])
    session.prefill(ids[LONG:])
    if architecture in WINDOWED and length < LONG:
        with pytest.raises(ModelError, match="let go of earlier tokens"):
            session.rewind(length)
        with pytest.raises(ModelError, match="Start a new session"):
            session.decode(5)
        return
    session.rewind(length)
    again = model.start_session()
    again.prefill(ids[:length])
    close(session.prefill(rest), again.prefill(rest))


def test_a_fragment_may_make_a_context_grow(model: LlamaCppModel) -> None:
    if model.fragments_refused() is not None:
        return
    ids = some_ids(model, LONG + MORE)
    giver = model.start_session()
    giver.prefill(ids)
    taker = model.start_session()
    taker.prefill(ids[:LONG])
    taker.put(giver.fragment(LONG, LONG + MORE - 1))
    close(taker.decode(int(ids[-1])), model.start_session().prefill(ids))


def test_a_fragment_may_fill_a_context_to_its_last_token(tmp_path: Path) -> None:
    model = tiny_llama_cpp("llama", tmp_path, context=SMALLEST_CONTEXT)
    ids = some_ids(model, SMALLEST_CONTEXT)
    giver, taker = model.start_session(), model.start_session()
    expected = giver.prefill(ids)
    taker.prefill(ids[:100])
    taker.put(giver.fragment(100, SMALLEST_CONTEXT))
    assert taker.length == SMALLEST_CONTEXT
    close(taker.fragment(100, SMALLEST_CONTEXT).keys, giver.fragment(100, SMALLEST_CONTEXT).keys)
    with pytest.raises(PromptTooLong):
        taker.decode(5)
    taker.rewind(SMALLEST_CONTEXT - 1)
    close(taker.decode(int(ids[-1])), expected)


def test_large_contexts_are_not_kept(model: LlamaCppModel) -> None:
    for _ in range(3):
        session = model.start_session()
        session.prefill(some_ids(model, 1500))
        del session
    kept = [capacity for (capacity, _), idle in model._pool._idle.items() if idle]
    assert max(kept) <= 2 * SMALLEST_CONTEXT
