"""`recall(rerank=True)`, with a model whose re-ranker is learned at its first use."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.front_door import WHERE, Open, facts

import aspen.engine.reranker_learning
from aspen import Aspen, Config, MemoryItem
from aspen.resonance_search import ResonanceSearch, SearchResult
from aspen.resonance_search.reranking import DEPTH, PART, Reranker, labelled_sets
from aspen.resonance_search.reranking.labelled import LabelledSet

FRIENDS = next(labelled for labelled in labelled_sets() if labelled.name == "friends")


@pytest.fixture(autouse=True)
def _few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning from all of them takes minutes, also with a small model."""
    few = LabelledSet("few", FRIENDS.items[:30], FRIENDS.questions[:12])
    monkeypatch.setattr(aspen.engine.reranker_learning, "labelled_sets", lambda: [few])


def test_the_first_hits_are_read_again(aspen: Aspen) -> None:
    facts(aspen)
    plain = aspen.recall(WHERE, limit=3)
    again = aspen.recall(WHERE, limit=3, rerank=True)
    assert len(again.hits) == 3
    report = again.arms[-1]
    assert (report.name, report.ran) == (PART, True)
    assert report.seconds > 0
    for before, after in itertools.pairwise(again.hits):
        assert before.score >= after.score
    for hit in again.hits:
        assert hit.score == pytest.approx(sum(hit.arms.values()), abs=1e-5)
    assert any(hit.arms[PART] != 0 for hit in again.hits)
    assert PART not in plain.hits[0].arms


def test_whatever_the_limit_the_same_hits_are_read(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:")
    aspen.remember_many([MemoryItem(item.text, speaker=item.speaker) for item in FRIENDS.items[:50]])
    for prompt in [question.text for question in FRIENDS.questions[:5]]:
        plain = _found(aspen, prompt, limit=40, rerank=False)
        long = _found(aspen, prompt, limit=40, rerank=True)
        assert [PART in arms for _, _, arms in long] == [place < DEPTH for place in range(40)]
        assert {id_ for id_, _, _ in long[:DEPTH]} == {id_ for id_, _, _ in plain[:DEPTH]}
        assert long[DEPTH:] == plain[DEPTH:]
        scores = [score for _, score, _ in long]
        assert scores == sorted(scores, reverse=True)
        for limit in (3, DEPTH, DEPTH + 1):
            assert _found(aspen, prompt, limit=limit, rerank=True) == long[:limit]


def _found(
    aspen: Aspen, prompt: str, *, limit: int, rerank: bool
) -> list[tuple[str, float, dict[str, float]]]:
    hits = aspen.recall(prompt, limit=limit, rerank=rerank).hits
    return [(hit.memory.id, hit.score, dict(hit.arms)) for hit in hits]


def test_what_was_learned_is_kept(open_aspen: Open, config: Config) -> None:
    first = open_aspen(":memory:")
    assert first.reranker.weights.heads
    path, told = _kept(config), list[str]()
    body = path.read_bytes()
    with Aspen.open(":memory:", model=first.model, config=config, notify=told.append) as second:
        assert second.reranker.weights.to_bytes() == body
    assert not told


@pytest.mark.parametrize("change", ["damaged", "of other texts"])
def test_what_cannot_be_used_is_learned_again(open_aspen: Open, config: Config, change: str) -> None:
    first = open_aspen(":memory:")
    body = first.reranker.weights.to_bytes()
    path, told = _kept(config), list[str]()
    of_others = replace(Reranker.from_bytes(body), texts="00" * 32)
    path.write_bytes(body[:-7] if change == "damaged" else of_others.to_bytes())
    with Aspen.open(":memory:", model=first.model, config=config, notify=told.append) as again:
        assert again.reranker.weights.to_bytes() == body
    assert [message.split()[0] for message in told] == ["Learning"]
    assert path.read_bytes() == body


def _kept(config: Config) -> Path:
    (path,) = (config.cache_dir / "reranker").glob("*.safetensors")
    return path


def test_a_memory_forgotten_between_search_and_reading_is_left_out(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories = facts(aspen)
    best = aspen.recall(WHERE).hits[0].memory
    assert aspen.reranker.weights.heads  # learned now: that searches, too
    search = ResonanceSearch.search

    def forgetting(self: ResonanceSearch, *args: Any, **options: Any) -> SearchResult:
        found = search(self, *args, **options)
        aspen.forget(best.id)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(ResonanceSearch, "search", forgetting)
        again = aspen.recall(WHERE, limit=len(memories) - 1, rerank=True)
    assert again.arms[-1].ran
    assert {hit.memory.id for hit in again.hits} == {memory.id for memory in memories} - {best.id}
    assert all(PART in hit.arms for hit in again.hits)
