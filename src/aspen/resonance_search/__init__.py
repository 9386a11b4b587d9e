"""From a prompt to the memories that resonate with it."""

from aspen.resonance_search.arms import Arm, Query, Unavailable
from aspen.resonance_search.explaining import Explanation
from aspen.resonance_search.filters import Filters
from aspen.resonance_search.held import ModelKeys
from aspen.resonance_search.keyword import analyse, dated_text, query_terms, spoken_text
from aspen.resonance_search.names import mentions_in, subject_of
from aspen.resonance_search.priors import traits_of
from aspen.resonance_search.ranking import RankingSettings, Way
from aspen.resonance_search.search import NEED_A_MODEL, NEED_A_PASS, ResonanceSearch, SearchResult
from aspen.resonance_search.vector import Embedder, VectorArm

__all__ = [
    "NEED_A_MODEL",
    "NEED_A_PASS",
    "Arm",
    "Embedder",
    "Explanation",
    "Filters",
    "ModelKeys",
    "Query",
    "RankingSettings",
    "ResonanceSearch",
    "SearchResult",
    "Unavailable",
    "VectorArm",
    "Way",
    "analyse",
    "dated_text",
    "mentions_in",
    "query_terms",
    "spoken_text",
    "subject_of",
    "traits_of",
]
