"""Pictures of what happened inside the model: maps of traces over layers and tokens, and of attention."""

from aspen.memory_viewer.attention import (
    AttentionMap,
    AttentionSummaryMap,
    attention_map,
    attention_summary,
)
from aspen.memory_viewer.drawing import png
from aspen.memory_viewer.maps import (
    MEASURES,
    MapComparison,
    TraceMap,
    compare_runs,
    compare_traces,
    divergence_map,
    trace_map,
)

__all__ = [
    "MEASURES",
    "AttentionMap",
    "AttentionSummaryMap",
    "MapComparison",
    "TraceMap",
    "attention_map",
    "attention_summary",
    "compare_runs",
    "compare_traces",
    "divergence_map",
    "png",
    "trace_map",
]
