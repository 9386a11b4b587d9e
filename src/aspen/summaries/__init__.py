"""Patterns that recur in what was said: found by activation, written down as memories, kept in step with the store."""

from aspen.summaries.finding import Cluster, alike_threshold, find_clusters, whitened
from aspen.summaries.keeping import Kept, Plan, kept_summaries, plan, summaries_of
from aspen.summaries.writing import Written, write_pattern

__all__ = [
    "Cluster",
    "Kept",
    "Plan",
    "Written",
    "alike_threshold",
    "find_clusters",
    "kept_summaries",
    "plan",
    "summaries_of",
    "whitened",
    "write_pattern",
]
