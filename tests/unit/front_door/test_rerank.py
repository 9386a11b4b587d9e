"""`recall(rerank=True)`, with a model whose re-ranker is learned at its first use."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.front_door import WHERE, Open, facts

import aspen.reranking
from aspen import Aspen, Config
from aspen.resonance_search.reranking import PART, labelled_sets
from aspen.resonance_search.reranking.labelled import LabelledSet


@pytest.fixture(autouse=True)
def _few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning from all of them takes minutes, also with a small model."""
    friends = next(labelled for labelled in labelled_sets() if labelled.name == "friends")
    few = LabelledSet("few", friends.items[:30], friends.questions[:12])
    monkeypatch.setattr(aspen.reranking, "labelled_sets", lambda: [few])


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


def test_what_was_learned_is_kept(open_aspen: Open, config: Config) -> None:
    first = open_aspen(":memory:")
    assert first.rereading.reranker.heads
    (path,) = (config.cache_dir / "reranker").glob("*.safetensors")
    body = path.read_bytes()
    told: list[str] = []
    with Aspen.open(":memory:", model=first.model, config=config, notify=told.append) as second:
        assert second.rereading.reranker.heads == first.rereading.reranker.heads
    assert not told
    _damage(path)
    with Aspen.open(":memory:", model=first.model, config=config, notify=told.append) as third:
        assert third.rereading.reranker.heads == first.rereading.reranker.heads
    assert [message.split()[0] for message in told] == ["Learning"]
    assert path.read_bytes() == body


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def test_a_forgotten_memory_is_not_read(aspen: Aspen) -> None:
    memories = facts(aspen)
    aspen.forget(memories[0].id)
    assert memories[0].id not in {hit.memory.id for hit in aspen.recall(WHERE, rerank=True).hits}
