"""The optional vector arm: cosines of a sentence embedder that the user brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aspen.activation_db import decode_vectors, encode_vector
from aspen.errors import InvalidInput, StoreNotWritable
from aspen.repository import KeyStamp, Repository
from aspen.resonance_search.arms import Query, Unavailable
from aspen.resonance_search.keyword import dated_text
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray, Seqs

_AT_ONCE = 64


class Embedder(Protocol):
    """Turns texts into vectors. Vectors of two embedders with one `name` must be comparable."""

    @property
    def name(self) -> str:
        """Names model and version: vectors are kept in the store under it."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32 [n, d]."""


class VectorArm:
    """Cosine of the embedder's vectors, which are kept in the store beside the activation keys, as int8.

    Memories without a vector get one at the first search after they were stored.
    """

    name = "vector"
    unit = "cosine"

    def __init__(self, embedder: Embedder, *, repository: Repository, weight: float = 1.0) -> None:
        self.weight = weight
        self._embedder = embedder
        self._repository = repository
        self._stamp = KeyStamp(f"embedder:{embedder.name}", embedder.name, "2")
        self.forget()

    def forget(self) -> None:
        """Let go of all vectors; the next search reads them anew."""
        self._seqs: Seqs = np.zeros(0, dtype=np.int64)
        self._vectors: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """Cosine with the prompt, float32 [n] in [-1, 1]."""
        try:
            self._update(candidates)
        except StoreNotWritable as error:
            return Unavailable(f"memories without a vector cannot get one: {error.message}")
        if len(self._seqs) == 0:
            return Unavailable("there are no memories")
        prompt = self._embed([query.text])[0]
        rows = np.searchsorted(self._seqs, candidates.seqs).clip(max=len(self._seqs) - 1)
        # A candidate that was forgotten a moment ago has no vector any more.
        there = self._seqs[rows] == candidates.seqs
        return np.asarray(np.where(there, self._vectors[rows] @ prompt, 0), dtype=np.float32)

    def _update(self, candidates: Candidates) -> None:
        """Hold the vectors of all candidates, and embed those that have none yet."""
        if np.isin(candidates.seqs, self._seqs).all():
            return
        while missing := self._repository.missing_keys(self._stamp, limit=_AT_ONCE):
            texts = [
                dated_text(memory.text, speaker=memory.speaker, said_at=memory.said_at) for memory in missing
            ]
            vectors = self._embed(texts)
            keys = {
                memory.seq: encode_vector(vector) for memory, vector in zip(missing, vectors, strict=True)
            }
            self._repository.add_keys(self._stamp, keys)
        self._seqs, keys_stored = self._repository.keys(self._stamp)
        self._vectors = decode_vectors(keys_stored)

    def _embed(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of length 1; InvalidInput where the embedder gives something else than it promised."""
        vectors = np.asarray(self._embedder.embed(texts), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise InvalidInput(
                f"The embedder {self._embedder.name} must give {len(texts)} finite vectors of one length, "
                f"got an array of shape {list(vectors.shape)}{'' if np.isfinite(vectors).all() else ' with NaN'}.",
                embedder=self._embedder.name,
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / (norms + 1e-12), dtype=np.float32)
