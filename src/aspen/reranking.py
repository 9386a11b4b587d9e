"""The re-ranker of a model: shipped, from the cache folder, or learned at its first use and kept there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aspen.activation_db import recipe_for
from aspen.engine import Engine
from aspen.errors import ModelError
from aspen.files import write_atomically
from aspen.items import memory_id
from aspen.models import HeadRef, LanguageModel
from aspen.repository import InMemoryRepository, Repository
from aspen.resonance_search import Query, SearchResult, spoken_text
from aspen.resonance_search.reranking import (
    DEPTH,
    ContextAttention,
    Example,
    LabelledQuestion,
    LabelledSet,
    Reranker,
    Rereading,
    fit_reranker,
    labelled_digest,
    labelled_sets,
)
from aspen.types import Memory

_VERSION = 1
_LEARNED_FROM = 16
"""Hits of a labelled question that weights are learned from."""
_ENOUGH_QUESTIONS = 450
"""More find a little more, and take longer than anybody would wait for a model of their own."""


def load_rereading(
    engine: Engine, *, cache_dir: Path, notify: Callable[[str], None] = lambda message: None
) -> Rereading:
    """What re-ranks with the model of `engine`. ModelError where the model's heads cannot be told apart."""
    model = engine.model
    name = file_name(model)
    shipped = files("aspen.resonance_search.reranking") / "data" / name
    if shipped.is_file():
        return Rereading.of(model, Reranker.from_tensors(load(shipped.read_bytes())))
    path = cache_dir / "reranker" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if (kept := _kept(path)) is None:
                notify(f"Learning to re-rank with {model.info.name}: once, some minutes ...")
                kept = learn(model, cache_dir=cache_dir)
                with write_atomically(path) as aside:
                    aside.write_bytes(to_bytes(kept))
    except OSError as error:
        raise ModelError(
            f"The re-ranker of {model.info.name} cannot be kept in {cache_dir}: {error}.",
            hint="Set ASPEN_CACHE to a folder of yours with some megabytes free.",
        ) from error
    return Rereading.of(model, kept)


def _kept(path: Path) -> Reranker | None:
    """From the cache; None where there is none, or it is damaged or learned from other texts: it is learned again."""
    try:
        reranker = Reranker.from_tensors(load(path.read_bytes()))
        return reranker if reranker.texts == labelled_digest() else None
    except (FileNotFoundError, SafetensorError, KeyError, ValueError):
        return None


def file_name(model: LanguageModel) -> str:
    """The file of a re-ranker, in the package or in the cache: one for each model."""
    return f"{model.fingerprint.model_id}-reranker-v{_VERSION}.safetensors"


def to_bytes(reranker: Reranker) -> bytes:
    """As safetensors."""
    return save(reranker.to_tensors())


def learn(
    model: LanguageModel,
    *,
    cache_dir: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> Reranker:
    """Search the labelled sets with `model`, read what was found, and fit the weights.

    All heads are read that a key's depth reaches: deeper ones cost more and add little (docs/benchmarks/recall.md).
    At most _ENOUGH_QUESTIONS are taken, evenly spread. `progress` is called with the number read so far.
    """
    depth = min(max(recipe_for(model.info).layers) + 1, model.info.n_layers)
    heads = [HeadRef(block, head) for block in range(depth) for head in range(model.info.n_heads)]
    attention = ContextAttention(model, heads)
    examples = []
    sets = labelled_sets()
    step = -(-sum(len(labelled.questions) for labelled in sets) // _ENOUGH_QUESTIONS)
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
    return Example(
        scores=np.array([hit.score for hit in found.ranked], dtype=np.float32),
        masses=attention.masses(question.text, [reread_text(memory) for memory in memories]),
        answers=np.array([memory.source in question.evidence for memory in memories]),
    )


def reread(
    rereading: Rereading, prompt: str, result: SearchResult, *, repository: Repository, limit: int
) -> SearchResult:
    """The `limit` best of `result`, its first DEPTH hits in the order that reading them again gives."""
    first = {hit.row: int(result.seqs[hit.row]) for hit in result.ranked[:DEPTH]}
    memories = {memory.seq: memory for memory in repository.get_by_seq(list(first.values()))}
    texts = {row: reread_text(memories[seq]) for row, seq in first.items() if seq in memories}
    reranked = rereading.rerank(prompt, result, texts=texts)
    return replace(reranked, ranked=reranked.ranked[:limit])


def reread_text(memory: Memory) -> str:
    """A memory as the model reads it again."""
    return spoken_text(memory.text, speaker=memory.speaker)
