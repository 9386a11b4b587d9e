"""Re-ranking: the first hits are read again together with the prompt, by the same model."""

from aspen.resonance_search.reranking.context_attention import ContextAttention
from aspen.resonance_search.reranking.context_reranker import DEPTH, PART, ContextReranker
from aspen.resonance_search.reranking.fitting import Example, fit_reranker
from aspen.resonance_search.reranking.labelled import (
    LabelledQuestion,
    LabelledSet,
    labelled_digest,
    labelled_sets,
)
from aspen.resonance_search.reranking.reranker import Reranker

__all__ = [
    "DEPTH",
    "PART",
    "ContextAttention",
    "ContextReranker",
    "Example",
    "LabelledQuestion",
    "LabelledSet",
    "Reranker",
    "fit_reranker",
    "labelled_digest",
    "labelled_sets",
]
