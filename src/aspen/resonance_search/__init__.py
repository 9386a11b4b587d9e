"""From a prompt to the memories that resonate with it."""

from aspen.resonance_search.arms import Arm, Query, Unavailable
from aspen.resonance_search.keyword import analyse, dated_text, spoken_text
from aspen.resonance_search.ranking import RankingSettings
from aspen.resonance_search.search import ResonanceSearch, SearchResult, mismatch, same_keys

__all__ = [
    "Arm",
    "Query",
    "RankingSettings",
    "ResonanceSearch",
    "SearchResult",
    "Unavailable",
    "analyse",
    "dated_text",
    "mismatch",
    "same_keys",
    "spoken_text",
]
