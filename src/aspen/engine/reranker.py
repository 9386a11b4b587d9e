"""`recall(rerank=True)`: the re-ranker of a model, and the step that puts the first hits in a new order.

Its weights are shipped, or from the cache folder, or learned at the first use and kept there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError

from aspen.engine.engine import Engine
from aspen.engine.reranker_learning import learn_reranker
from aspen.errors import ModelError
from aspen.files import write_atomically
from aspen.models import LanguageModel
from aspen.repository import Repository
from aspen.resonance_search import SearchResult, spoken_text
from aspen.resonance_search.reranking import DEPTH, ContextReranker, Reranker, labelled_digest

_VERSION = 1


def load_reranker(
    engine: Engine, *, cache_dir: Path, notify: Callable[[str], None] = lambda message: None
) -> ContextReranker:
    """What re-ranks with the model of `engine`. ModelError where the model's heads cannot be told apart."""
    model = engine.model
    name = file_name(model)
    shipped = files("aspen.resonance_search.reranking") / "data" / name
    if shipped.is_file():
        return ContextReranker.of(model, Reranker.from_bytes(shipped.read_bytes()))
    path = cache_dir / "reranker" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if (kept := _kept(path)) is None:
                notify(f"Learning to re-rank with {model.info.name}: once, some minutes ...")
                kept = learn_reranker(model, cache_dir=cache_dir)
                with write_atomically(path) as aside:
                    aside.write_bytes(kept.to_bytes())
    except OSError as error:
        raise ModelError(
            f"The re-ranker of {model.info.name} cannot be kept in {cache_dir}: {error}.",
            hint="Set ASPEN_CACHE to a folder of yours with some megabytes free.",
        ) from error
    return ContextReranker.of(model, kept)


def _kept(path: Path) -> Reranker | None:
    """From the cache; None where there is none, or it is damaged or learned from other texts: it is learned again."""
    try:
        reranker = Reranker.from_bytes(path.read_bytes())
        return reranker if reranker.texts == labelled_digest() else None
    except (FileNotFoundError, SafetensorError, KeyError, ValueError):
        return None


def file_name(model: LanguageModel) -> str:
    """The file of a re-ranker, in the package or in the cache: one for each model."""
    return f"{model.fingerprint.model_id}-reranker-v{_VERSION}.safetensors"


def rerank_hits(
    reranker: ContextReranker, prompt: str, result: SearchResult, *, repository: Repository, limit: int
) -> SearchResult:
    """The `limit` best of `result`, its first DEPTH hits in the order that reading them again gives.

    `result` has DEPTH hits at least, or all that there are: which are read must not depend on `limit`. One that was
    forgotten since the search is not read, and follows behind those that were.
    """
    first = {hit.row: int(result.seqs[hit.row]) for hit in result.ranked[:DEPTH]}
    memories = {memory.seq: memory for memory in repository.get_by_seq(list(first.values()))}
    texts = {
        row: spoken_text(memories[seq].text, speaker=memories[seq].speaker)
        for row, seq in first.items()
        if seq in memories
    }
    reranked = reranker.rerank(prompt, result, texts=texts)
    return replace(reranked, ranked=reranked.ranked[:limit])
