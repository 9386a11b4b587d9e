"""The contract of a language model, on both runtimes with the same tiny weights, and on the NumPy model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny_gguf import GGUF_MODELS, tiny_llama_cpp
from tests.tiny_models import tiny_model

from aspen.models import HeadRef, LanguageModel
from aspen.testing.fake_model import FakeModel
from aspen.testing.model_suite import FED, ModelContract, fed, some_ids


class TestFakeModel(ModelContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> LanguageModel:
        return FakeModel()


class TestTransformers(ModelContract):
    @pytest.fixture(scope="class", params=GGUF_MODELS)
    @classmethod
    def model(cls, request: pytest.FixtureRequest) -> LanguageModel:
        return tiny_model(request.param)


class TestLlamaCpp(ModelContract):
    tolerance = 0.02  # the cache holds keys and values in float16

    @pytest.fixture(scope="class", params=GGUF_MODELS)
    @classmethod
    def model(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
        return tiny_llama_cpp(request.param, tmp_path_factory.mktemp("gguf"))


@pytest.mark.parametrize("architecture", GGUF_MODELS)
def test_both_runtimes_compute_the_same(architecture: str, tmp_path: Path) -> None:
    ours, theirs = tiny_llama_cpp(architecture, tmp_path), tiny_model(architecture)
    ids = some_ids(theirs, FED)
    close = TestLlamaCpp().close
    close(np.array(fed(ours, ids)), np.array(fed(theirs, ids)))
    heads = [HeadRef(block, head) for block in (0, 3) for head in (0, 3)]
    mine, other = (
        model.capture_with_heads([ids], layers=range(5), heads=heads)[0] for model in (ours, theirs)
    )
    for layer in range(5):
        close(mine.hidden_states[layer], other.hidden_states[layer])
    close(mine.keys, other.keys)
    for head, (one, two) in enumerate(zip(mine.queries, other.queries, strict=True)):
        scale = ours.head_attention(heads[head].block).scale / theirs.head_attention(heads[head].block).scale
        close(one * scale, two)
    with ours.recording() as recorded, theirs.recording() as expected:
        fed(ours, ids)
        fed(theirs, ids)
    for block in range(4):
        found, right = recorded.attention_inputs(block), expected.attention_inputs(block)
        close(found.queries * found.scale, right.queries * right.scale)
        close(found.keys, right.keys)
        assert (found.window, found.softcap and round(found.softcap, 4)) == (right.window, right.softcap)
    assert (
        ours.tokenize("Where does my sister live?").tolist()
        == theirs.tokenize("Where does my sister live?").tolist()
    )
