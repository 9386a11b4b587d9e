"""The arms of recall: each scores every candidate in its own way; fusion makes them comparable.

An arm is a small object behind one Protocol. `score` returns one raw number per candidate, higher is closer, or
an `Unavailable` with the reason why it cannot tell: a recall reports it, never hides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aspen.activation_db import KeyIndex
from aspen.repository import KeywordStore
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.keyword import analyse, bm25
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray


@dataclass(frozen=True, slots=True)
class Query:
    """A prompt, made ready. pooled: float32 [K, D] from the partial forward pass; None where there was none."""

    text: str
    pooled: FloatArray | None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why an arm did not run."""

    reason: str


class Arm(Protocol):
    """One way to score candidates. `weight` is its share in the fusion, relative to 1."""

    name: str
    weight: float

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """One number per candidate, float32 [n], higher is closer."""


class ActivationArm:
    """Resonance: the cosine of whitened keys, made comparable layer by layer, then summed."""

    name = "activation"

    def __init__(self, index: KeyIndex, *, weight: float = 1.0) -> None:
        self.weight = weight
        self._index = index

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """Sum over layers of the cosine's z-score: a layer counts by how well it tells candidates apart."""
        if query.pooled is None:
            return Unavailable("no forward pass was made for this prompt")
        return zscore(self.cosines(query, candidates)).sum(axis=1)

    def cosines(self, query: Query, candidates: Candidates) -> FloatArray:
        """Per layer, float32 [n, K]."""
        assert query.pooled is not None
        return self._index.cosines(query.pooled, rows=candidates.rows)


class KeywordArm:
    """BM25 over the dated text."""

    name = "keyword"

    def __init__(self, store: KeywordStore, *, weight: float = 1.0) -> None:
        self.weight = weight
        self._store = store

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """BM25 of the prompt's words; a repeated word counts once per occurrence."""
        terms = analyse(query.text)
        if not terms:
            return Unavailable("the prompt has no words beside stop words")
        scores = bm25(self._store.postings(terms), seqs=candidates.seqs, lengths=candidates.term_counts)
        if not np.any(scores):
            return Unavailable("no memory has a word of the prompt")
        return scores
