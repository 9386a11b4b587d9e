"""Reading the first hits again: attention in context, the weights, and the new order."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
import torch
from safetensors.numpy import load
from tests.tiny_models import LAYERS, tiny_model

from aspen.errors import InvalidInput
from aspen.models import HeadRef
from aspen.resonance_search import SearchResult
from aspen.resonance_search.ranking import Ranked
from aspen.resonance_search.reranking import (
    PART,
    ContextAttention,
    Example,
    Reranker,
    Rereading,
    fit_reranker,
    labelled_digest,
    labelled_sets,
)
from aspen.testing.fake_model import FakeModel

ALL = [HeadRef(block, head) for block in range(LAYERS) for head in range(4)]
PROMPT = "Where does Mara live?"
MEMORIES = ["My sister Mara moved to Lisbon in March.", "The dog jumps.", "a"]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen3", "gpt_neox"])
def test_masses_are_those_of_the_models_own_attention(architecture: str) -> None:
    model = tiny_model(architecture)
    heads = [ALL[9], *ALL[:6]]  # in any order
    masses = ContextAttention(model, heads).masses(PROMPT, MEMORIES)
    assert masses.shape == (len(MEMORIES), 2, len(heads))
    before, between, asked = (len(model.tokenize(text)) for text in ("Memory:", "\nQuestion:", f" {PROMPT}"))
    model._hf.set_attn_implementation("eager")
    for memory, mass in zip(MEMORIES, masses, strict=True):
        parts = ("Memory:", f" {memory}", "\nQuestion:", f" {PROMPT}")
        ids = np.concatenate([model.tokenize(part) for part in parts])
        with torch.inference_mode():
            attentions = model._hf(torch.tensor(ids)[None], output_attentions=True).attentions
        for i, ref in enumerate(heads):
            rows = attentions[ref.block][0, ref.head].numpy()
            on_memory = rows[:, before : len(ids) - between - asked].sum(axis=1)
            assert mass[0, i] == pytest.approx(on_memory[-asked:].mean(), abs=1e-4)
            assert mass[1, i] == pytest.approx(on_memory[-asked - between : -asked].mean(), abs=1e-4)


def examples(n: int, *, answer_by: int, seed: int = 0) -> list[Example]:
    """Lists of eight in which the memory that one of three heads attends to, more than for any prompt, answers."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        masses = draw.random((8, 2, 3)).astype(np.float32)
        best = (masses[:, 0, answer_by] - masses[:, 1, answer_by]).argmax()
        made.append(Example(draw.normal(size=8).astype(np.float32), masses, np.arange(8) == best))
    return made


def found_first(reranker: Reranker, made: Sequence[Example]) -> float:
    places = [(one.scores + reranker.lift(one.masses)).argmax() for one in made]
    return float(np.mean([one.answers[place] for place, one in zip(places, made, strict=True)]))


def test_weights_are_learned_from_what_answers() -> None:
    reranker = fit_reranker(examples(300, answer_by=1), ALL[:3], texts="00")
    assert reranker.heads == tuple(ALL[:3])
    assert np.abs(reranker.weights).argmax(axis=1).tolist() == [1, 1]
    assert reranker.weights[0, 1] > 0 > reranker.weights[1, 1]
    unseen = examples(200, answer_by=1, seed=1)
    assert found_first(reranker, unseen) > 0.7
    nothing = Reranker(reranker.heads, np.zeros_like(reranker.weights), "00")
    assert found_first(nothing, unseen) < 0.3


def test_a_good_first_stage_is_left_alone() -> None:
    right = [
        Example(10 * one.answers.astype(np.float32), one.masses, one.answers)
        for one in examples(100, answer_by=1)
    ]
    lifts = [fit_reranker(right, ALL[:3], texts="00").lift(one.masses) for one in right]
    assert np.abs(lifts).max() < 5


def test_what_teaches_nothing_is_left_out() -> None:
    (one,) = examples(1, answer_by=0)
    none = Example(one.scores, one.masses, np.zeros(8, dtype=np.bool_))
    every = Example(one.scores, one.masses, np.ones(8, dtype=np.bool_))
    with_them = fit_reranker([one, none, every], ALL[:3], texts="00")
    np.testing.assert_array_equal(with_them.weights, fit_reranker([one], ALL[:3], texts="00").weights)
    with pytest.raises(InvalidInput, match="re-ranker"):
        fit_reranker([none, every], ALL[:3], texts="00")


def test_tensors_bring_a_reranker_back() -> None:
    made = fit_reranker(examples(5, answer_by=0), ALL[:3], texts="00ff")
    again = Reranker.from_tensors(made.to_tensors())
    assert (again.heads, again.texts) == (made.heads, made.texts)
    np.testing.assert_array_equal(again.weights, made.weights)


def result(*scores: float) -> SearchResult:
    ranked = tuple(Ranked(row, score, {"keyword": score}, ()) for row, score in enumerate(scores))
    return SearchResult(ranked, np.arange(len(scores)), {}, 0.5, ())


def rereading(model: FakeModel) -> Rereading:
    """What attends more to a memory comes first: weight 1 on the attention of a single head."""
    return Rereading.of(model, Reranker((HeadRef(1, 0),), np.array([[1.0], [0.0]], dtype=np.float32), "00"))


def test_hits_are_ordered_anew_and_still_add_up() -> None:
    model = FakeModel()
    texts = {0: MEMORIES[1], 1: MEMORIES[0], 2: MEMORIES[2]}
    masses = ContextAttention(model, [HeadRef(1, 0)]).masses(PROMPT, list(texts.values()))[:, 0, 0]
    again = rereading(model).rerank(PROMPT, result(0.3, 0.2, 0.1, -9.0), texts=texts)
    scores = {hit.row: hit.score for hit in again.ranked}
    assert [hit.score for hit in again.ranked] == sorted(scores.values(), reverse=True)
    lifts = (masses - masses.mean()) / masses.std()
    assert [scores[row] for row in range(3)] == pytest.approx(np.array([0.3, 0.2, 0.1]) + lifts, abs=1e-4)
    assert [hit.row for hit in again.ranked] != [0, 1, 2, 3]
    for hit in again.ranked:
        assert hit.score == pytest.approx(sum(hit.parts.values()))
    assert scores[3] == -9.0  # beyond the depth
    assert [(arm.name, arm.ran) for arm in again.arms] == [(PART, True)]


@pytest.mark.parametrize(
    ("scores", "reason"), [((9.0, 1.0, 0.5), "far before"), ((1.0,), "two hits"), ((), "two hits")]
)
def test_where_there_is_nothing_to_decide_nothing_is_read(scores: Sequence[float], reason: str) -> None:
    model = FakeModel()
    reader, before = rereading(model), model.blocks_run
    again = reader.rerank(PROMPT, result(*scores), texts=dict.fromkeys(range(len(scores)), "text"))
    assert [hit.row for hit in again.ranked] == list(range(len(scores)))
    (report,) = again.arms
    assert not report.ran
    assert reason in report.reason
    assert model.blocks_run == before


def test_the_labelled_sets_point_at_what_is_there() -> None:
    sets = labelled_sets()
    assert {"calibration_text", "friends", "assistant", "passages"} == {labelled.name for labelled in sets}
    for labelled in sets:
        sources = [item.source for item in labelled.items]
        assert len(set(sources)) == len(sources) > 100
        questions = [question.text for question in labelled.questions]
        assert len(set(questions)) == len(questions) > 100
        for question in labelled.questions:
            assert question.evidence
            assert set(question.evidence) <= set(sources), question
    assert len(bytes.fromhex(labelled_digest())) == 32


def test_the_weights_that_ship_were_learned_from_the_texts_that_ship() -> None:
    """`python tools/ship_reranker.py` makes them anew."""
    folder = files("aspen.resonance_search.reranking") / "data"
    (shipped,) = (one for one in folder.iterdir() if one.name.endswith(".safetensors"))
    reranker = Reranker.from_tensors(load(shipped.read_bytes()))
    assert reranker.texts == labelled_digest()
    assert reranker.weights.shape == (2, len(reranker.heads))
    assert np.isfinite(reranker.weights).all()
