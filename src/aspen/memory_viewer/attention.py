"""Where tokens looked: attention of one block and head over all tokens, and of all heads over the segments.

Of a whole inference a trace keeps the mass that each head put on each segment, for the reply's tokens. The weights
between all tokens come from feeding its tokens again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aspen.aspen import Aspen
from aspen.errors import InvalidInput
from aspen.memory_viewer.rerunning import recording_of
from aspen.types import FloatArray, Segment


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMap:
    """Attention of one block: of each token, in rows, on itself and those before it, in columns.

    layer: the block, 0 to L - 1; head: None for the mean over all of them. values: float32 [T, T], each row sums to 1.
    by_segment: float32 [T, S], what of it falls on each of `segment_names`.
    """

    title: str
    layer: int
    head: int | None
    tokens: tuple[str, ...]
    segments: tuple[Segment, ...]
    segment_names: tuple[str, ...]
    values: FloatArray = field(repr=False)
    by_segment: FloatArray = field(repr=False)
    unit: str = "share of attention"


@dataclass(frozen=True, slots=True, eq=False)
class AttentionSummaryMap:
    """Where the reply looked: of each block and head, the mean over the reply's tokens.

    values: float32 [L, H, S] in [0, 1], the share on each of `segment_names`; they sum to 1 for each head, but for
    steps of 1/255 in which a trace keeps them. All 0 in blocks whose attention the runtime cannot give. `replied` is
    how many tokens the mean is over; where it is 0, the values are NaN.
    """

    title: str
    segment_names: tuple[str, ...]
    replied: int
    values: FloatArray = field(repr=False)
    unit: str = "share of attention"


def attention_map(aspen: Aspen, trace_id: str, *, layer: int, head: int | None = None) -> AttentionMap:
    """Attention of block `layer`, of one head or their mean, in an inference that is fed again and verified.

    InvalidInput for a block or head that there is not; NotFound and TraceError as `trace_map`; ModelError where the
    architecture's attention cannot be told.
    """
    trace = aspen.trace(trace_id)
    info = aspen.model.info
    if head is not None and not 0 <= head < info.n_heads:
        raise InvalidInput(f"Heads are numbered 0..{info.n_heads - 1}, got {head}.", head=head)
    weights = recording_of(aspen, trace).attention_matrix(layer)
    values = weights.mean(axis=0) if head is None else weights[head]
    names = tuple(dict.fromkeys(segment.name for segment in trace.segments))
    shares = [
        sum(values[:, one.start : one.stop].sum(axis=1) for one in trace.segments if one.name == name)
        for name in names
    ]
    return AttentionMap(
        title=trace.id,
        layer=layer,
        head=head,
        tokens=tuple(
            aspen.model.detokenize(trace.token_ids[place : place + 1], skip_special=False)
            for place in range(len(values))
        ),
        segments=trace.segments,
        segment_names=names,
        values=values,
        by_segment=np.stack(shares, axis=1).astype(np.float32),
    )


def attention_summary(aspen: Aspen, trace_id: str) -> AttentionSummaryMap:
    """Where the reply of a trace looked, as the trace keeps it: no model is needed. NotFound as `Aspen.trace`."""
    trace = aspen.trace(trace_id)
    mass = trace.attention.mass.astype(np.float32)  # [L, H, R, S]
    blocks, heads, replied, segments = mass.shape
    values = mass.mean(axis=2) if replied else np.full((blocks, heads, segments), np.nan, dtype=np.float32)
    return AttentionSummaryMap(trace.id, trace.attention.segments, replied, values)
