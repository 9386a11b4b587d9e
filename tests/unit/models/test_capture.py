"""The partial forward pass against plain transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_models import BUILDERS, CONTEXT, LAYERS, VOCABULARY, WIDTH, tiny_model

from aspen.errors import InvalidInput, PromptTooLong
from aspen.models._transformers.model import TransformersModel

EVERY_LAYER = range(LAYERS + 1)


def some_ids(count: int, *, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, VOCABULARY, count).astype(np.int32)


@pytest.fixture(params=sorted(BUILDERS))
def model(request: pytest.FixtureRequest) -> TransformersModel:
    return tiny_model(request.param)


def final_norm(model: TransformersModel) -> Any:
    base = model._hf.base_model
    return next(getattr(base, name) for name in ("norm", "final_layer_norm", "ln_f") if hasattr(base, name))


def plain_hidden_states(model: TransformersModel, ids: Any) -> list[Any]:
    with torch.inference_mode():
        output = model._hf(torch.from_numpy(ids.astype(np.int64))[None], output_hidden_states=True)
    return [state[0].numpy() for state in output.hidden_states]


def test_capture_equals_plain_hidden_states(model: TransformersModel) -> None:
    ids = some_ids(17)
    states = model.capture([ids], layers=EVERY_LAYER)[0]
    plain = plain_hidden_states(model, ids)
    assert states.shape == (LAYERS + 1, 17, WIDTH)
    assert states.dtype == np.float32
    assert np.array_equal(states[:LAYERS], plain[:LAYERS])
    with torch.inference_mode():  # transformers gives the last layer behind the final norm
        assert np.array_equal(final_norm(model)(torch.from_numpy(states[LAYERS])), plain[LAYERS])


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_partial_equals_full_bit_for_bit(model: TransformersModel, layer: int) -> None:
    ids = some_ids(9)
    full = model.capture([ids], layers=EVERY_LAYER)[0]
    assert np.array_equal(model.capture([ids], layers=[layer])[0][0], full[layer])


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_partial_runs_no_further_block(model: TransformersModel, layer: int) -> None:
    ran: list[int] = []
    for index, block in enumerate(model._blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    model.capture([some_ids(5)], layers=[0, layer])
    # The hook on the last block that counts is ours; it leaves before the counting hook when the layer is L.
    assert ran == list(range(layer)) or (layer == LAYERS and ran == list(range(LAYERS)))


def test_layers_come_in_the_order_asked_for(model: TransformersModel) -> None:
    ids = some_ids(6)
    full = model.capture([ids], layers=EVERY_LAYER)[0]
    assert np.array_equal(model.capture([ids], layers=[3, 0, 3])[0], full[[3, 0, 3]])


def test_batch_is_close_to_single(model: TransformersModel) -> None:
    batch = [some_ids(count, seed=count) for count in (3, 11, 7, 1, 30, 8, 8)]
    together = model.capture(batch, layers=[1, LAYERS])
    for ids, states in zip(batch, together, strict=True):
        alone = model.capture([ids], layers=[1, LAYERS])[0]
        assert states.shape == alone.shape
        np.testing.assert_allclose(states, alone, rtol=1e-4, atol=1e-4)


def test_large_batches_are_cut_into_passes() -> None:
    model = tiny_model()
    batch = [some_ids(100, seed=i) for i in range(45)]
    states = model.capture(batch, layers=[2])
    np.testing.assert_allclose(states[44], model.capture([batch[44]], layers=[2])[0], rtol=1e-4, atol=1e-4)


def test_capture_leaves_no_hooks(model: TransformersModel) -> None:
    model.capture([some_ids(4)], layers=EVERY_LAYER)
    assert all(not block._forward_hooks and not block._forward_pre_hooks for block in model._blocks)


def test_an_empty_batch_gives_an_empty_list() -> None:
    assert tiny_model().capture([], layers=[1]) == []


@pytest.mark.parametrize(
    ("batch", "layers", "error"),
    [
        ([some_ids(3)], [LAYERS + 1], InvalidInput),
        ([some_ids(3)], [-1], InvalidInput),
        ([some_ids(3)], [], InvalidInput),
        ([some_ids(3), np.array([], dtype=np.int32)], [1], InvalidInput),
        ([np.array([VOCABULARY], dtype=np.int32)], [1], InvalidInput),
        ([np.array([-1], dtype=np.int32)], [1], InvalidInput),
        ([np.array([0.5])], [1], InvalidInput),
        ([some_ids(CONTEXT + 1)], [1], PromptTooLong),
    ],
)
def test_impossible_captures_are_refused(batch: Any, layers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        tiny_model().capture(batch, layers=layers)
