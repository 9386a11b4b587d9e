"""The arms of recall: each scores every candidate in its own way; fusion makes them comparable.

An arm is a small object behind one Protocol. `score` returns one raw number per candidate, higher is closer, or
an `Unavailable` with the reason why it cannot tell: a recall reports it, never hides it. Of priors, which answer in the
same way, it reports those that had nothing to say only where they were asked for by name: most prompts name nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, Self, runtime_checkable

import numpy as np

from aspen.activation_db import KeyIndex, PromptHeads
from aspen.resonance_search.fusion import zscore
from aspen.resonance_search.keyword import PromptWords, bm25
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray
from aspen.validation import check_time


@dataclass(frozen=True, slots=True)
class Query:
    """A prompt, made ready. pooled: float32 [K, D] from the partial forward pass; None where there was none.

    heads: what its attention heads ask, from the same pass; asked_at: when it is asked, for "yesterday" and the like;
    words: where its words occur, looked up by the search.
    """

    text: str
    pooled: FloatArray | None
    heads: PromptHeads | None = None
    asked_at: datetime = field(default_factory=lambda: datetime.now().astimezone())
    words: PromptWords | None = None

    @classmethod
    def asked(cls, text: str, *, at: datetime | None) -> Self:
        """Without a forward pass, asked at a time that was handed in; now, where None. InvalidInput if it is no time.

        The time keeps its zone, for "yesterday" is a day of whoever asks; one without a zone is UTC.
        """
        check_time(at, what="asked_at")
        if at is None:
            return cls(text, None)
        return cls(text, None, asked_at=at if at.tzinfo else at.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why an arm did not run."""

    reason: str


class Arm(Protocol):
    """One way to score candidates. `weight` is its share in the fusion, relative to 1; `unit` that of its scores."""

    name: str
    unit: str
    weight: float

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """One number per candidate, float32 [n], higher is closer."""


@runtime_checkable
class HoldsMemories(Protocol):
    """An arm that holds something of the memories from one search to the next."""

    def forget(self) -> None:
        """Let go of it: a memory was forgotten."""


class ActivationArm:
    """Resonance: the cosine of whitened keys, made comparable layer by layer, then summed. For one search."""

    name = "activation"
    unit = "z-scored cosines, summed over layers"

    def __init__(self, index: KeyIndex, *, weight: float = 1.0) -> None:
        self.weight = weight
        self._index = index
        self._found: FloatArray | None = None  # of the one prompt and candidates that this arm is asked for

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """Sum over layers of the cosine's z-score: a layer counts by how well it tells candidates apart."""
        if query.pooled is None:
            return Unavailable("no forward pass was made for this prompt")
        by_layer = zscore(self._by_layer(query.pooled, candidates))
        return np.asarray(by_layer.sum(axis=1), dtype=np.float32)

    def cosines(self, query: Query, candidates: Candidates) -> FloatArray | None:
        """Mean cosine over the layers with each candidate, float32 [n]; None where there was no forward pass."""
        if query.pooled is None:
            return None
        return np.asarray(self._by_layer(query.pooled, candidates).mean(axis=1), dtype=np.float32)

    def _by_layer(self, pooled: FloatArray, candidates: Candidates) -> FloatArray:
        if self._found is None:
            self._found = self._index.cosines(pooled, rows=candidates.rows)
        return self._found


class KeywordArm:
    """BM25 over the dated text."""

    name = "keyword"
    unit = "BM25"

    def __init__(self, *, weight: float = 1.0) -> None:
        self.weight = weight

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """BM25 of the prompt's words, question words left out; a repeated word counts once per occurrence."""
        if query.words is None or not query.words.postings:
            return Unavailable("the prompt has only stop words and question words")
        scores = bm25(query.words, lengths=candidates.term_counts)
        if not np.any(scores):
            return Unavailable("no memory has a word of the prompt")
        return scores
