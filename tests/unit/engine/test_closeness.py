"""How close a store's keys come to those of the model in use: measured, told, and never a reason to mix them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from tests.builders import FACTS, open_engine, remember
from tests.searching import WHERE, many, recall

from aspen.engine import Engine
from aspen.engine import closeness as module
from aspen.engine.closeness import CLOSE, MOST_COMPARED, RELATED, Closeness, LayerCloseness, Verdict
from aspen.errors import ModelMismatch
from aspen.repository import InMemoryRepository, KeyStamp, Repository, open_repository
from aspen.testing.fake_model import FakeModel
from aspen.types import Fingerprint, Memory

Start = Callable[..., Engine]


class InAnotherRuntime(FakeModel):
    """The same weights and tokenizer, run by something else."""

    @cached_property
    def fingerprint(self) -> Fingerprint:
        return replace(super().fingerprint, runtime="llama.cpp")


@pytest.fixture
def start(cache_dir: Path) -> Start:
    def start(repository: Repository, model: FakeModel | None = None) -> Engine:
        return open_engine(repository, cache_dir=cache_dir, model=model)

    return start


@pytest.fixture(params=["memory", "file", "postgres"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    if request.param == "postgres":
        location = request.getfixturevalue("new_postgres_url")()
    else:
        location = ":memory:" if request.param == "memory" else str(tmp_path / "store.db")
    with open_repository(location) as opened:
        yield opened


def measured(engine: Engine) -> Closeness:
    closeness = engine.comparison.measure()
    assert closeness is not None
    return closeness


def test_keys_of_the_same_model_are_the_same(start: Start, repository: Repository) -> None:
    engine = start(repository)
    remember(engine, many(150))
    closeness = measured(engine)
    assert closeness.memories == MOST_COMPARED
    assert closeness.verdict is Verdict.CLOSE
    assert [layer.layer for layer in closeness.layers] == [0, 1, 2]
    assert all(layer.lowest == pytest.approx(1) for layer in closeness.layers)


def test_another_model_is_told_apart(start: Start, repository: Repository) -> None:
    remember(start(repository), many(30))
    closeness = measured(start(repository, FakeModel(seed=1)))
    assert (closeness.stored, closeness.present) == ("fake-0", "fake-1")
    assert closeness.verdict is Verdict.DIFFERENT
    assert all(layer.lowest <= layer.mean for layer in closeness.layers)
    assert "; not the same model." in closeness.sentence()


def test_the_same_weights_in_another_runtime_are_close_and_yet_never_mixed(
    start: Start, repository: Repository
) -> None:
    former, present = start(repository), start(repository, InAnotherRuntime())
    assert former.stamp.model_id == present.stamp.model_id
    assert present.stamp.identity != former.stamp.identity
    remember(former, FACTS)
    with pytest.raises(ModelMismatch) as caught:
        present.claim_store()
    assert "close: keys of both models find nearly the same" in caught.value.message
    assert (
        "made by fake-0 in fake, the model in use is the same weights in llama.cpp." in caught.value.message
    )
    assert caught.value.hint == (
        "Make the keys anew (`Aspen.rekey`), or open the store with the runtime that made them "
        "(`ASPEN_RUNTIME=fake`)."
    )
    with pytest.raises(ModelMismatch, match="close: keys"):
        recall(present, arms=["activation"])
    assert present.rekey() == len(FACTS)
    assert set(recall(present, WHERE, arms=["activation"])) == set(FACTS)
    with pytest.raises(ModelMismatch, match="close: keys"):
        former.claim_store()


def test_the_error_tells_the_figures_as_data_too(start: Start) -> None:
    repository = InMemoryRepository()
    remember(start(repository), FACTS)
    with pytest.raises(ModelMismatch) as caught:
        start(repository, FakeModel(seed=1)).claim_store()
    told = json.loads(json.dumps(caught.value.diagnostics()))["details"]["closeness"]
    assert (told["verdict"], told["memories"], told["reason"]) == ("different", len(FACTS), "")
    assert [set(layer) for layer in told["layers"]] == [{"layer", "mean", "lowest"}] * 3
    assert "at layer 2 (lowest " in caught.value.message


def test_a_store_that_fits_costs_nothing_and_another_is_measured_once(start: Start) -> None:
    repository, model, other = InMemoryRepository(), FakeModel(), FakeModel(seed=1)
    engine = start(repository, model)
    remember(engine, FACTS)
    before = model.blocks_run
    engine.claim_store()
    assert model.blocks_run == before
    present = start(repository, other)
    before = other.blocks_run
    messages = set()
    for _ in range(3):
        with pytest.raises(ModelMismatch) as caught:
            present.claim_store()
        messages.add(caught.value.message)
    assert len(messages) == 1
    tokens = sum(len(fact) for fact in FACTS)
    assert other.blocks_run - before == 2 * tokens  # half of the blocks, each text once


def test_an_error_does_not_wait_for_a_slow_model(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK_SECONDS", 0.0)
    repository = InMemoryRepository()
    remember(start(repository), FACTS)
    present = start(repository, FakeModel(seed=1))
    with pytest.raises(ModelMismatch, match=", on 1 memory: "):
        present.claim_store()
    assert measured(present).memories == len(FACTS)


def test_a_new_store_and_an_empty_one(start: Start) -> None:
    repository = InMemoryRepository()
    former, present = start(repository), start(repository, FakeModel(seed=1))
    assert present.comparison.measure() is None
    stored = remember(former, FACTS)
    repository.forget([memory.id for memory in stored])
    empty = measured(present)
    assert (empty.verdict, empty.layers, empty.memories) == (Verdict.UNKNOWN, (), 0)
    with pytest.raises(ModelMismatch, match="cannot be measured: the store holds no memories"):
        present.claim_store()
    remember(former, FACTS[:1])
    with pytest.raises(ModelMismatch, match="not the same model"):  # nothing was kept of the empty store
        present.claim_store()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (FakeModel(seed=1, width=16), "its keys are of a model of width 32, this one has width 16"),
        (
            FakeModel(seed=1, n_layers=6),
            "its keys are of layers 0, 1, 2 of fake-0, this model's are of layers 0, 2, 3",
        ),
    ],
)
def test_models_of_another_shape_have_no_cosine(start: Start, model: FakeModel, reason: str) -> None:
    repository = InMemoryRepository()
    remember(start(repository), FACTS)
    closeness = measured(start(repository, model))
    assert closeness.reason == reason
    assert closeness.sentence() == f"How close the keys of both are cannot be measured: {reason}."


def test_keys_in_a_code_that_is_not_here_are_not_read(start: Start, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    remember(start(repository), FACTS)
    elsewhere = open_engine(repository, cache_dir=tmp_path, model=FakeModel(seed=1))
    assert measured(elsewhere).reason == f"the calibration that reads the keys of fake-0 is not in {tmp_path}"


def test_a_stamp_that_says_nothing(start: Start) -> None:
    repository = InMemoryRepository()
    repository.set_stamp(KeyStamp("x", "unknown", "7"))
    assert measured(start(repository)).reason == "the store does not say how its keys '7' were made"


def test_a_text_longer_than_a_key_is_cut_as_the_key_was(start: Start) -> None:
    engine = start(InMemoryRepository())
    remember(engine, [f"{fact} {'And so on. ' * 60}" for fact in FACTS])
    closeness = measured(engine)
    assert closeness.memories == len(FACTS)
    assert all(layer.lowest == pytest.approx(1) for layer in closeness.layers)


def test_texts_of_moderate_length_come_first(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK_SECONDS", 0.0)
    repository, other = InMemoryRepository(), FakeModel(seed=1)
    remember(start(repository), ["a" * 200, "b" * 20, "c"])
    present = start(repository, other)
    before = other.blocks_run
    with pytest.raises(ModelMismatch):
        present.claim_store()
    assert other.blocks_run - before == 2 * 20


class ForgettingMeanwhile(InMemoryRepository):
    """Somebody else forgets memories just before these are read."""

    meanwhile: tuple[str, ...] = ()

    def get_by_seq(self, seqs: object) -> list[Memory]:
        ids, self.meanwhile = self.meanwhile, ()
        self.forget(ids)
        return super().get_by_seq(seqs)  # type: ignore[arg-type]


def test_what_is_forgotten_meanwhile_is_left_out(start: Start) -> None:
    repository = ForgettingMeanwhile()
    engine = start(repository)
    stored = remember(engine, many(10))
    repository.forget([stored[0].id])
    repository.meanwhile = tuple(memory.id for memory in stored[1:4])
    closeness = measured(engine)
    assert closeness.memories == 6
    assert closeness.verdict is Verdict.CLOSE


class Overflowing(FakeModel):
    """Gives no numbers once it is told to."""

    broken = False

    def capture_with_heads(self, batch, *, layers, heads):  # type: ignore[no-untyped-def]
        captured = super().capture_with_heads(batch, layers=layers, heads=heads)
        if self.broken:
            captured = [replace(one, hidden_states=one.hidden_states * np.float32("nan")) for one in captured]
        return captured


def test_what_goes_wrong_in_measuring_hides_no_mismatch(start: Start) -> None:
    repository, model = InMemoryRepository(), Overflowing(seed=1)
    remember(start(repository), FACTS)
    present = start(repository, model)
    model.broken = True
    with pytest.raises(
        ModelMismatch, match="cannot be measured: The activations of this text are not finite"
    ):
        present.claim_store()


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((1.0, CLOSE), Verdict.CLOSE),
        ((1.0, CLOSE - 0.001), Verdict.RELATED),
        ((1.0, RELATED), Verdict.RELATED),
        ((1.0, RELATED - 0.001), Verdict.DIFFERENT),
        ((), Verdict.UNKNOWN),
    ],
)
def test_the_worst_layer_decides(means: tuple[float, ...], verdict: Verdict) -> None:
    layers = tuple(LayerCloseness(i, mean, mean) for i, mean in enumerate(means))
    assert Closeness("a", "b", layers, memories=2).verdict is verdict
