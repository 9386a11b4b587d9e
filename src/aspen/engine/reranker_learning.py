"""Learning the re-ranker of a model: from labelled questions, and what that model finds for them and reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from aspen.activation_db import recipe_for
from aspen.engine.engine import Engine
from aspen.items import memory_id
from aspen.models import HeadRef, LanguageModel
from aspen.repository import InMemoryRepository
from aspen.resonance_search import Query, SearchResult, spoken_text
from aspen.resonance_search.reranking import (
    ContextAttention,
    Example,
    LabelledQuestion,
    LabelledSet,
    Reranker,
    fit_reranker,
    labelled_digest,
    labelled_sets,
)

_LEARNED_FROM = 16
"""Hits of a labelled question that weights are learned from."""
_ENOUGH_QUESTIONS = 450
"""More find a little more, and take longer than anybody would wait for a model of their own."""


def learn_reranker(
    model: LanguageModel,
    *,
    cache_dir: Path,
    at_most: int = _ENOUGH_QUESTIONS,
    progress: Callable[[int], None] = lambda done: None,
) -> Reranker:
    """Search the labelled sets with `model`, read what was found, and fit the weights.

    All heads are read that a key's depth reaches: deeper ones cost more and add little (docs/benchmarks/recall.md).
    `at_most` so many questions are taken, evenly spread. `progress` is called with the number read so far.
    """
    depth = min(max(recipe_for(model.info).layers) + 1, model.info.n_layers)
    heads = [HeadRef(block, head) for block in range(depth) for head in range(model.info.n_heads)]
    attention = ContextAttention(model, heads)
    examples = []
    sets = labelled_sets()
    step = -(-sum(len(labelled.questions) for labelled in sets) // at_most)
    for labelled in sets:
        part = replace(labelled, questions=labelled.questions[::step])
        for example in _examples(part, model=model, attention=attention, cache_dir=cache_dir):
            examples.append(example)
            progress(len(examples))
    return fit_reranker(examples, heads, texts=labelled_digest())


def _examples(
    labelled: LabelledSet, *, model: LanguageModel, attention: ContextAttention, cache_dir: Path
) -> Iterator[Example]:
    with InMemoryRepository() as repository:
        engine = Engine.start(model, repository=repository, cache_dir=cache_dir, notify=lambda message: None)
        engine.claim_store()
        repository.add(
            engine.encode([(memory_id(item), item) for item in labelled.items]), stamp=engine.stamp
        )
        for question in labelled.questions:
            encoded, _ = engine.encoder.encode_query(question.text)
            query = Query(question.text, encoded.pooled, encoded.heads)
            found = engine.search.search(query, limit=_LEARNED_FROM)
            yield _example(engine, question, found, attention=attention)


def _example(
    engine: Engine,
    question: LabelledQuestion,
    found: SearchResult,
    *,
    attention: ContextAttention,
) -> Example:
    memories = engine.repository.get_by_seq([int(found.seqs[hit.row]) for hit in found.ranked])
    texts = [spoken_text(memory.text, speaker=memory.speaker) for memory in memories]
    return Example(
        scores=np.array([hit.score for hit in found.ranked], dtype=np.float32),
        masses=attention.masses(question.text, texts),
        answers=np.array([memory.source in question.evidence for memory in memories]),
    )
