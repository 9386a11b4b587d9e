"""Other memories that run without an API key and without a network, given the same vectors as the baselines.

Their packages are the extra `peers`; none of them is imported before it is measured.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from aspen.benchmarks.baselines import MiniLM
from aspen.benchmarks.interface import Advance, Question, rendered
from aspen.errors import MissingDependency
from aspen.types import MemoryItem

_AT_ONCE = 64
_EVERYONE = "everyone"
"""mem0 keeps each memory for somebody: this one has those of no conversation."""


class _OnDisk:
    """A system with a folder of its own, which is removed when it is left."""

    def __init__(self, minilm: MiniLM) -> None:
        self._minilm = minilm
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Some keep a file open until the interpreter ends.
            folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            self._start(folder, stack)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _start(self, folder: str, stack: ExitStack) -> None:
        """Open it in `folder`; `stack` is closed when the system is left."""
        raise NotImplementedError


class ChromaSystem(_OnDisk):
    """A Chroma collection on disk, by cosine."""

    name = "chromadb"

    def _start(self, folder: str, stack: ExitStack) -> None:
        try:
            import chromadb  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise _missing("chromadb", "Chroma") from error
        client = chromadb.PersistentClient(
            folder, settings=chromadb.config.Settings(anonymized_telemetry=False)
        )
        # Its own embedder would be downloaded.
        self._memories = client.create_collection(
            "memories", metadata={"hnsw:space": "cosine"}, embedding_function=None
        )

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Embed and add in batches."""
        started = time.perf_counter()
        for start in range(0, len(items), _AT_ONCE):
            batch = items[start : start + _AT_ONCE]
            texts = [rendered(item) for item in batch]
            self._memories.add(
                ids=[str(start + i) for i in range(len(batch))],
                documents=texts,
                embeddings=list(self._minilm.embed(texts)),
                metadatas=[
                    {"source": item.source or "", "conversation": item.conversation or ""} for item in batch
                ],
            )
            advance(start + len(batch))
        return time.perf_counter() - started

    def search(self, question: Question, *, limit: int) -> list[str]:
        """Its query, limited to the conversation by metadata."""
        found = self._memories.query(
            query_embeddings=list(self._minilm.embed([question.text])),
            n_results=limit,
            where={"conversation": question.group} if question.group else None,
            include=["metadatas"],
        )
        return [str(metadata["source"]) for metadata in found["metadatas"][0]]


class Mem0System(_OnDisk):
    """mem0 without its language model: texts are kept as they are, in Qdrant on disk.

    Its keyword search and its entities need models that are downloaded, so it ranks by vectors alone here.
    """

    name = "mem0"

    def _start(self, folder: str, stack: ExitStack) -> None:
        # Read when it is imported, and it would write to the home folder otherwise.
        stack.enter_context(_environment(MEM0_TELEMETRY="False", MEM0_DIR=folder))
        try:
            from mem0 import Memory  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise _missing("mem0ai", "mem0") from error
        logging.getLogger("mem0").setLevel(logging.ERROR)
        with redirect_stderr(io.StringIO()):  # a progress bar of the embedder's own
            self._memory = Memory.from_config(_mem0_settings(folder, model=str(self._minilm.path)))
        stack.callback(self._memory.close)

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """One call a memory, as there is no other."""
        started = time.perf_counter()
        for done, item in enumerate(items, start=1):
            self._memory.add(
                rendered(item),
                user_id=item.conversation or _EVERYONE,
                metadata={"source": item.source or ""},
                infer=False,
            )
            advance(done)
        return time.perf_counter() - started

    def search(self, question: Question, *, limit: int) -> list[str]:
        """Its search, with the lowest threshold that it takes: what has a cosine below 0 it never returns."""
        found = self._memory.search(
            question.text, top_k=limit, filters={"user_id": question.group or _EVERYONE}, threshold=0.0
        )
        return [str(hit["metadata"]["source"]) for hit in found["results"]]


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """The environment with these variables, until the block is left."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _mem0_settings(folder: str, *, model: str) -> dict[str, Any]:
    qdrant = {"path": f"{folder}/qdrant", "collection_name": "memories", "embedding_model_dims": 384}
    return {
        "embedder": {"provider": "huggingface", "config": {"model": model, "embedding_dims": 384}},
        "vector_store": {"provider": "qdrant", "config": {**qdrant, "on_disk": True}},
        # Never asked, as nothing is inferred, but made all the same.
        "llm": {"provider": "openai", "config": {"api_key": "none"}},
        "history_db_path": f"{folder}/history.db",
    }


def _missing(package: str, name: str) -> MissingDependency:
    return MissingDependency(
        f"{name} is not installed.",
        hint=f'pip install "aspen-memory[peers]", or only {package}: pip install {package}',
    )
