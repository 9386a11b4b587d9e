"""The way from the residual stream to logits, in every architecture that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_models import BUILDERS, LAYERS, WIDTH, tiny_model, tiny_transformer

from aspen.activation_logger import record
from aspen.errors import InvalidInput, ModelError
from aspen.models._transformers.unembedding import find_unembedding


@pytest.mark.parametrize("architecture", BUILDERS)
def test_the_last_layer_unembeds_to_the_models_own_logits(architecture: str) -> None:
    model = tiny_model(architecture)
    token_ids = np.arange(5, 17, dtype=np.int32)
    with record(model) as recording:
        logits = model.start_session().prefill_each(token_ids)
    states = recording.hidden_states
    np.testing.assert_allclose(model.unembed(states[LAYERS]), logits, rtol=1e-4, atol=1e-4)
    assert not np.allclose(model.unembed(states[1]), logits, atol=0.01)


def test_finding_it_leaves_an_open_recording_alone() -> None:
    model = tiny_model("llama")
    token_ids = np.arange(5, 9, dtype=np.int32)
    with record(model) as recording:
        session = model.start_session()
        session.prefill(token_ids[:2])
        model.unembed(np.zeros((1, WIDTH), dtype=np.float32))
        session.prefill(token_ids[2:])
    assert recording.token_ids.tolist() == token_ids.tolist()


def test_states_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\[n, 32\]"):
        tiny_model("llama").unembed(np.zeros((2, WIDTH + 1), dtype=np.float32))


def test_a_model_that_does_more_on_the_way_is_refused() -> None:
    hf = tiny_transformer("llama")
    norm = hf.model.norm.forward

    def calls_itself_twice(states: Any) -> Any:  # what stands beside the blocks is not all that happens
        return norm(states) + states.sum(dim=1, keepdim=True)

    hf.model.norm.forward = calls_itself_twice
    with torch.inference_mode(), pytest.raises(ModelError, match="could not be found"):
        find_unembedding(hf, blocks=list(hf.model.layers), probe=torch.arange(8)[None])
