"""Re-ranking: the first hits are read again together with the prompt, by the same model."""

from aspen.resonance_search.reranking.context_attention import ContextAttention
from aspen.resonance_search.reranking.fitting import Example, fit_reranker
from aspen.resonance_search.reranking.labelled import (
    LabelledQuestion,
    LabelledSet,
    labelled_digest,
    labelled_sets,
)
from aspen.resonance_search.reranking.reading import DEPTH, PART, Rereading
from aspen.resonance_search.reranking.reranker import Reranker

__all__ = [
    "DEPTH",
    "PART",
    "ContextAttention",
    "Example",
    "LabelledQuestion",
    "LabelledSet",
    "Reranker",
    "Rereading",
    "fit_reranker",
    "labelled_digest",
    "labelled_sets",
]
