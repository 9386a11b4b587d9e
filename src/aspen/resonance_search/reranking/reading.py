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
from aspen.types import ArmReport

DEPTH = 20
"""Hits that are read again. More cost time in proportion and find nothing (docs/benchmarks/recall.md)."""
PART = "rerank"
"""Name of what re-ranking adds to a score."""
_CLEAR = 5.0
"""Where the first hit stands so far before the second, in standard deviations of an arm, nothing is read again."""


@dataclass(frozen=True, slots=True)
class Rereading:
    """A re-ranker with its model."""

    attention: ContextAttention
    reranker: Reranker

    @classmethod
    def of(cls, model: LanguageModel, reranker: Reranker) -> Rereading:
        """ModelError where the model's heads cannot be told apart."""
        return cls(ContextAttention(model, reranker.heads), reranker)

    def rerank(self, prompt: str, result: SearchResult, *, texts: Mapping[int, str]) -> SearchResult:
        """`result` in a new order, unless its first hit is clear. `texts` of the first DEPTH hits, by row.

        A hit without text keeps its score: the memory was forgotten meanwhile.
        """
        started = time.perf_counter()
        reread = [hit for hit in result.ranked if hit.row in texts]
        if reason := _clear(reread):
            return replace(
                result, arms=(*result.arms, ArmReport(PART, ran=False, reason=reason, seconds=0.0))
            )
        masses = self.attention.masses(prompt, [texts[hit.row] for hit in reread])
        lifts = dict(zip((hit.row for hit in reread), self.reranker.lift(masses).tolist(), strict=True))
        lifted = [
            replace(hit, score=hit.score + lifts[hit.row], parts={**hit.parts, PART: lifts[hit.row]})
            if hit.row in lifts
            else hit
            for hit in result.ranked
        ]
        # Stable: of equals the one that stood before still does.
        ranked = tuple(sorted(lifted, key=lambda hit: -hit.score))
        report = ArmReport(PART, ran=True, reason="", seconds=time.perf_counter() - started)
        return replace(result, ranked=ranked, arms=(*result.arms, report))


def _clear(ranked: Sequence[Ranked]) -> str:
    """Why there is nothing to read again; empty where there is."""
    if len(ranked) < 2:
        return "there are not two hits to choose between"
    if ranked[0].score - ranked[1].score > _CLEAR:
        return "the first hit stands far before the others"
    return ""
