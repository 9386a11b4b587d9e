"""How close keys of the bundled model come to those of the same weights, run otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from aspen import Aspen, Config, MemoryItem
from aspen.activation_db import calibration_text
from aspen.engine.closeness import MOST_COMPARED, Verdict
from aspen.errors import MissingDependency, ModelMismatch
from aspen.models import LanguageModel, bundled, load_model
from aspen.repository import InMemoryRepository

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config() -> Iterator[Config]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    yield Config.from_environment()  # its cache lasts: unpacking takes half a minute
    torch.set_num_threads(threads)


def load(config: Config, *, dtype: str | None = None, runtime: str = "transformers") -> LanguageModel:
    return load_model(
        "bundled", cache_dir=config.cache_dir, runtime=runtime, device="cpu", dtype=dtype, threads=1
    )


def test_another_dtype_makes_nearly_the_same_keys(config: Config) -> None:
    turns, _ = calibration_text()
    repository = InMemoryRepository()
    with Aspen.open(repository, model=load(config, dtype="float32"), config=config) as aspen:
        aspen.remember_many([MemoryItem(turn) for turn in turns[:60]])
        same = aspen.closeness()
        former = aspen.engine.stamp
    assert same is not None
    assert all(layer.lowest > 0.999 for layer in same.layers)
    model = load(config, dtype="bfloat16")
    with Aspen.open(repository, model=model, config=config) as aspen:
        assert aspen.engine.stamp.identity == former.identity  # so near that the keys are of one stamp
        rounded = aspen.closeness()
    assert rounded is not None
    assert (rounded.verdict, rounded.memories) == (Verdict.CLOSE, MOST_COMPARED)
    assert [layer.layer for layer in rounded.layers] == [0, 9, 15]
    assert all(layer.mean > 0.995 for layer in rounded.layers)
    assert min(layer.mean for layer in rounded.layers) < 0.9999


def test_another_runtime_is_another_model_however_close(config: Config) -> None:
    turns, _ = calibration_text()
    repository = InMemoryRepository()
    with Aspen.open(repository, model=load(config, dtype="float32"), config=config) as aspen:
        aspen.remember("My sister Mara moved to Lisbon last year.")
        aspen.remember_many([MemoryItem(turn) for turn in turns[:30]])
    with Aspen.open(repository, model=load(config, runtime="llama.cpp"), config=config) as aspen:
        with pytest.raises(ModelMismatch, match="close: keys of both models find nearly the same") as refused:
            aspen.remember("The cat is called Biscuit.")
        assert "in transformers, the model in use is the same weights in llama.cpp" in refused.value.message
        assert "the runtime that made them (`ASPEN_RUNTIME=transformers`)" in refused.value.hint
        found = aspen.closeness()
        assert found is not None
        assert all(layer.mean > 0.99 for layer in found.layers)
        assert [arm.ran for arm in aspen.recall("Where is Mara?").arms if arm.name == "activation"] == [False]
        assert aspen.rekey() == 31
        assert [arm.ran for arm in aspen.recall("Where is Mara?").arms if arm.name == "activation"] == [True]
