"""Re-ranking the first hits of a search: each is read again together with the prompt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aspen.models import LanguageModel
from aspen.resonance_search.ranking import Ranked
from aspen.resonance_search.reranking.context_attention import ContextAttention
from aspen.resonance_search.reranking.reranker import Reranker
from aspen.resonance_search.search import SearchResult
from aspen.types import ArmReport, FloatArray

DEPTH = 20
"""Hits that are read again; time is in proportion to them."""
PART = "rerank"
"""Name of what re-ranking adds to a score."""
_CLEAR = 5.0
"""Where the first hit stands so far before the second, in standard deviations of an arm, nothing is read again."""


@dataclass(frozen=True, slots=True)
class ContextReranker:
    """Re-ranks by attention in context: a model that reads, and the weights of its heads."""

    attention: ContextAttention
    weights: Reranker

    @classmethod
    def of(cls, model: LanguageModel, weights: Reranker) -> ContextReranker:
        """ModelError where the model's heads cannot be told apart."""
        return cls(ContextAttention(model, weights.heads), weights)

    def rerank(self, prompt: str, result: SearchResult, *, texts: Mapping[int, str]) -> SearchResult:
        """`result` with the hits that have `texts`, by row, in a new order, unless the first of them is clear.

        They are the first hits; the others follow behind them as they are.
        """
        started = time.perf_counter()
        first = [hit for hit in result.ranked if hit.row in texts]
        if reason := _clear(first):
            return replace(
                result, arms=(*result.arms, ArmReport(PART, ran=False, reason=reason, seconds=0.0))
            )
        lifts = self.weights.lift(self.attention.masses(prompt, [texts[hit.row] for hit in first]))
        others = [hit for hit in result.ranked if hit.row not in texts]
        report = ArmReport(PART, ran=True, reason="", seconds=time.perf_counter() - started)
        return replace(result, ranked=(*_lifted(first, lifts), *others), arms=(*result.arms, report))


def _lifted(hits: Sequence[Ranked], lifts: FloatArray) -> list[Ranked]:
    """Hits in the order of their scores plus lifts [n], all moved by one constant: the lowest score stays what it was.

    The mean of the lifts is 0: unmoved, many hits would fall behind others that were not read. The constant depends on
    these hits alone: whatever follows them, their scores are the same.
    """
    lowest = min(hit.score for hit in hits)
    sums = [hit.score + lift for hit, lift in zip(hits, lifts.tolist(), strict=True)]
    scores = [lowest + (one - min(sums)) for one in sums]
    lifted = [
        replace(hit, score=score, parts={**hit.parts, PART: score - hit.score})
        for hit, score in zip(hits, scores, strict=True)
    ]
    # Stable: of equals the one that stood before still does.
    return sorted(lifted, key=lambda hit: -hit.score)


def _clear(ranked: Sequence[Ranked]) -> str:
    """Why there is nothing to read again; empty where there is."""
    if len(ranked) < 2:
        return "there are not two hits to choose between"
    if ranked[0].score - ranked[1].score > _CLEAR:
        return "the first hit stands far before the others"
    return ""
