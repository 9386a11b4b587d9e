"""Measures where the model does not tell its unembedding, and what resonance takes off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_logger import record
from aspen.errors import ModelError
from aspen.memory_viewer.measures import changes, norms, resonances, surprises
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, TokenIds


class Closed(FakeModel):
    """Does not tell how it makes logits."""

    def unembed(self, states: FloatArray) -> FloatArray:
        if states.ndim == 2:
            raise ModelError("not told")
        return super().unembed(states)


def run(model: FakeModel, text: str) -> tuple[TokenIds, FloatArray]:
    token_ids = model.tokenize(text)
    with record(model) as recording:
        model.start_session().prefill(token_ids)
    return token_ids, recording.hidden_states


def test_without_an_unembedding_the_last_layer_alone_tells_its_surprise() -> None:
    text = "Where does my sister Mara live, and since when? " * 4  # more than are held at once
    token_ids, states = run(FakeModel(), text)
    layers, by_lens = surprises(FakeModel(), states, token_ids)
    last, own = surprises(Closed(), states, token_ids)
    assert last == (layers[-1],)
    np.testing.assert_allclose(own[0, 1:], by_lens[-1, 1:], rtol=1e-3, atol=1e-3)
    assert np.isnan(own[0, 0])


def test_a_text_of_one_token_has_no_surprise() -> None:
    token_ids, states = run(FakeModel(), "a")
    _, found = surprises(FakeModel(), states, token_ids)
    assert np.isnan(found).all()


class Rogue(FakeModel):
    """Has a few dimensions that are huge in all its states."""

    def capture(self, batch: Sequence[TokenIds], *, layers: Sequence[int]) -> list[FloatArray]:
        return [rogue(states) for states in super().capture(batch, layers=layers)]


def rogue(states: FloatArray) -> FloatArray:
    huge = states.copy()
    huge[..., :3] = 40 * huge[..., :3] + 2000
    return huge


def test_what_all_states_have_in_common_is_taken_off() -> None:
    text, prompt = "The boiler makes a noise when it rains.", "Who lives in Portugal?"
    model = FakeModel()
    _, states = run(model, text)
    found = resonances(Rogue(), rogue(states), prompt)
    np.testing.assert_allclose(found, resonances(model, states, prompt), atol=1e-2)
    raw = rogue(states)[:, 1:] / np.linalg.norm(rogue(states)[:, 1:], axis=-1, keepdims=True)
    assert (raw @ raw.swapaxes(1, 2)).min() > 0.95  # without that all would be alike


def test_states_of_no_length_do_not_divide_by_zero() -> None:
    states = drawn(3, 4, 5)
    states[:, 2] = 0
    with np.errstate(all="raise"):
        assert norms(states)[:, 2] == pytest.approx(0)
        assert changes(states)[:, 2] == pytest.approx(0)
