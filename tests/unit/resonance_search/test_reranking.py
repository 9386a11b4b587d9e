"""Reading the first hits again: attention in context, the weights, and the new order."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
import torch
from tests.tiny_models import CONTEXT, LAYERS, tiny_model

from aspen.errors import InvalidInput
from aspen.models import Captured, HeadRef
from aspen.resonance_search import SearchResult
from aspen.resonance_search.ranking import Ranked
from aspen.resonance_search.reranking import (
    PART,
    ContextAttention,
    ContextReranker,
    Example,
    Reranker,
    fit_reranker,
    labelled_digest,
    labelled_sets,
)
from aspen.testing.fake_model import FakeModel
from aspen.types import TokenIds

ALL = [HeadRef(block, head) for block in range(LAYERS) for head in range(4)]
PROMPT = "Where does Mara live?"
MEMORIES = ["My sister Mara moved to Lisbon in March.", "The dog jumps.", "a"]


# The other blocks of Gemma 2 have a sliding window, which `HeadAttention` does not know: this model's is shorter than
# what is read, that of a real one is longer.
UNWINDOWED = [ref for ref in ALL if ref.block % 2 == 1]


@pytest.mark.parametrize(
    ("architecture", "heads"),
    [
        ("llama", [ALL[9], *ALL[:6]]),  # in any order
        ("gpt2", [ALL[9], *ALL[:6]]),
        ("qwen3", [ALL[9], *ALL[:6]]),
        ("gpt_neox", [ALL[9], *ALL[:6]]),
        ("gemma2", UNWINDOWED),
    ],
)
def test_masses_are_those_of_the_models_own_attention(architecture: str, heads: list[HeadRef]) -> None:
    model = tiny_model(architecture)
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


def test_of_a_long_memory_the_beginning_is_read_and_of_a_long_prompt_the_end() -> None:
    attention = ContextAttention(FakeModel(), ALL[:8])  # a token per byte
    # With the space that both begin with, 256 and 128 tokens.
    beginning, end = ("Mara moved to Lisbon. " * 12)[:255], ("Where does Mara live? " * 6)[-127:]
    whole = attention.masses(f"That was long ago. {end}", [f"{beginning} And more."])
    np.testing.assert_array_equal(whole, attention.masses(end, [beginning]))
    for prompt, memory in ((end, beginning[:-1]), (end[1:], beginning)):
        assert not np.array_equal(whole, attention.masses(prompt, [memory]))


class Listening(FakeModel):
    """Keeps what it is given to read."""

    def __init__(self, *, context_length: int) -> None:
        self.read: list[bytes] = []
        super().__init__(context_length=context_length)

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        self.read += [ids.astype(np.uint8).tobytes() for ids in batch]
        return super().capture_with_heads(batch, layers=layers, heads=heads)


@pytest.mark.parametrize(
    ("context_length", "n_memory", "n_prompt"),
    [(4096, 256, 128), (401, 256, 128), (400, 256, 127), (128, 74, 37), (20, 2, 1)],
)
def test_a_small_context_is_shared_in_proportion(context_length: int, n_memory: int, n_prompt: int) -> None:
    model = Listening(context_length=context_length)
    ContextAttention(model, ALL[:8]).masses("p" * 400, ["m" * 400])
    memory, prompt = " " + "m" * (n_memory - 1), "p" * n_prompt
    assert model.read == [f"Memory:{memory}\nQuestion:{prompt}".encode()]


def test_long_texts_are_read_by_a_transformer_of_a_small_context() -> None:
    model = tiny_model()
    prompt, memory = "Who asked? " * 50, "Mara did. " * 50
    assert min(len(model.tokenize(text)) for text in (prompt, memory)) > CONTEXT
    masses = ContextAttention(model, ALL).masses(prompt, [memory, "Mara did."])
    assert ((masses > 0) & (masses < 1)).all()


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


def test_bytes_bring_a_reranker_back() -> None:
    made = fit_reranker(examples(5, answer_by=0), ALL[:3], texts="00ff")
    again = Reranker.from_bytes(made.to_bytes())
    assert (again.heads, again.texts) == (made.heads, made.texts)
    np.testing.assert_array_equal(again.weights, made.weights)


def result(*scores: float) -> SearchResult:
    ranked = tuple(
        Ranked(row, score, {"keyword": score}, (), direct=score, activation=0.0, corrected_by=None)
        for row, score in enumerate(scores)
    )
    return SearchResult(
        ranked, np.arange(len(scores)), 0, {}, 0.5, (), priority=np.zeros(len(scores)), truncated=False
    )


def by_attention(model: FakeModel) -> ContextReranker:
    """What attends more to a memory comes first: weight 1 on the attention of a single head."""
    weights = Reranker((HeadRef(1, 0),), np.array([[1.0], [0.0]], dtype=np.float32), "00")
    return ContextReranker.of(model, weights)


def test_hits_are_ordered_anew_and_still_add_up() -> None:
    model = FakeModel()
    texts = {0: MEMORIES[1], 1: MEMORIES[0], 2: MEMORIES[2]}
    masses = ContextAttention(model, [HeadRef(1, 0)]).masses(PROMPT, list(texts.values()))[:, 0, 0]
    again = by_attention(model).rerank(PROMPT, result(0.3, 0.2, 0.1), texts=texts)
    scores = {hit.row: hit.score for hit in again.ranked}
    assert [hit.score for hit in again.ranked] == sorted(scores.values(), reverse=True)
    lifted = np.array([0.3, 0.2, 0.1]) + (masses - masses.mean()) / masses.std()
    # The lowest score of before is the lowest again.
    expected = (lifted - lifted.min() + 0.1).tolist()
    assert [scores[row] for row in range(3)] == pytest.approx(expected, abs=1e-4)
    assert [hit.row for hit in again.ranked] != [0, 1, 2]
    for hit in again.ranked:
        assert hit.score == pytest.approx(sum(hit.parts.values()))
    assert [(arm.name, arm.ran) for arm in again.arms] == [(PART, True)]


def test_what_was_not_read_follows_behind_as_it_was() -> None:
    reader = by_attention(FakeModel())
    texts = dict(enumerate(MEMORIES))
    alone = reader.rerank(PROMPT, result(0.3, 0.2, 0.1), texts=texts)
    found = result(0.3, 0.2, 0.1, 0.1, 0.05, -9.0)
    again = reader.rerank(PROMPT, found, texts=texts)
    assert again.ranked == (*alone.ranked, *found.ranked[3:])
    scores = [hit.score for hit in again.ranked]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("scores", "reason"), [((9.0, 1.0, 0.5), "far before"), ((1.0,), "two hits"), ((), "two hits")]
)
def test_where_there_is_nothing_to_decide_nothing_is_read(scores: Sequence[float], reason: str) -> None:
    model = FakeModel()
    reader, before = by_attention(model), model.blocks_run
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
    one, other = (one.read_bytes() for one in folder.iterdir() if one.name.endswith(".safetensors"))
    assert one == other  # for each runtime, by the model's name there
    weights = Reranker.from_bytes(one)
    assert weights.texts == labelled_digest()
    assert weights.weights.shape == (2, len(weights.heads))
    assert np.isfinite(weights.weights).all()
