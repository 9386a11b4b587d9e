"""Where the reply looked: attention weights from the queries and keys that entered attention.

Attention kernels never hand out their weights, so they are computed again here, from q and k after rotary
embedding: softmax(softcap(scale * q.k)) over the visible positions (Vaswani et al. 2017; softcap as in
Gemma 2, 2024; grouped queries as in Ainslie et al. 2023; sliding window as in Mistral 7B, 2023). float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError
from aspen.models.interface import AttentionInputs
from aspen.types import AttentionSummary, FloatArray, Segment

SINK, TEMPLATE, REPLY = "sink", "template", "reply"
"""Names of segments that are always there: the first token, what no other segment names, what was sampled."""
STRONGEST = 4
"""How many of the most attended positions are kept per head and query."""


def segment_tokens(segments: Sequence[Segment], *, length: int, reply_start: int) -> tuple[Segment, ...]:
    """Runs of named tokens that cover 0..`length` without gap or overlap, in order.

    The first token is "sink", tokens from `reply_start` on are "reply", and what no segment names is
    "template". Where given segments overlap, the later one in the list counts: a "note" inside a "system"
    message is given after it.
    """
    if not 1 <= reply_start <= length:
        raise InvalidInput(f"The reply must start in 1..{length}, got {reply_start}.")
    names = [TEMPLATE] * reply_start + [REPLY] * (length - reply_start)
    for segment in segments:
        if not 0 <= segment.start <= segment.stop <= length:
            raise InvalidInput(
                f"Segment {segment.name!r} covers tokens {segment.start}..{segment.stop} of {length}.",
                segment=segment.name,
            )
        names[segment.start : segment.stop] = [segment.name] * (segment.stop - segment.start)
    names[0] = SINK
    starts = [i for i in range(length) if i == 0 or names[i] != names[i - 1]]
    return tuple(
        Segment(name=names[start], start=start, stop=stop)
        for start, stop in zip(starts, [*starts[1:], length], strict=True)
    )


def attention_weights(inputs: AttentionInputs, *, query_start: int = 0) -> FloatArray:
    """Attention of the tokens from `query_start` on: float32 [H, R, T] with R = T - query_start.

    Rows sum to 1; positions that a query cannot see have exactly 0.
    """
    queries = inputs.queries[:, query_start:]
    heads, rows, head_dim = queries.shape
    kv_heads, length = inputs.keys.shape[:2]
    # Query head h reads key head h // (H / H_kv): the heads of one group are neighbours.
    grouped = queries.reshape(kv_heads, heads // kv_heads * rows, head_dim) * np.float32(inputs.scale)
    scores = np.empty((heads, rows, length), dtype=np.float32)
    np.matmul(grouped, inputs.keys.swapaxes(1, 2), out=scores.reshape(kv_heads, -1, length))
    if inputs.softcap is not None:
        cap = np.float32(inputs.softcap)
        scores /= cap
        np.tanh(scores, out=scores)
        scores *= cap
    positions = np.arange(query_start, length)[:, None]
    hidden = np.arange(length) > positions
    if inputs.window is not None:
        hidden |= np.arange(length) <= positions - inputs.window
    scores[:, hidden] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def summarise_attention(
    inputs_of: Callable[[int], AttentionInputs],
    *,
    n_layers: int,
    n_heads: int,
    segments: Sequence[Segment],
    query_start: int,
) -> AttentionSummary:
    """Mass per segment and strongest positions, for the queries from `query_start` on.

    Parameters
    ----------
    inputs_of:
        Gives the queries and keys of a block (0..L-1); called once per block, so that one layer at a time is
        held in memory. Where it raises ModelError, because the block's attention is of another kind, the
        block gets zeros and positions -1.
    segments:
        Runs that cover all T tokens in order, as `segment_tokens` makes them. Runs of one name are one
        segment of the summary; names stand in the order of their first run.
    query_start:
        Position of the first query; T where there is none (R = 0).
    """
    starts = np.array([segment.start for segment in segments])
    names = tuple(dict.fromkeys(segment.name for segment in segments))
    # Sums over runs first, then over the runs of one name: [runs, S] with a single 1 in each row.
    member = np.array([[s.name == name for name in names] for s in segments], dtype=np.float32)
    length = segments[-1].stop
    masses, positions, strengths = [], [], []
    for layer in range(n_layers):
        try:
            inputs = inputs_of(layer)
        except ModelError:
            masses.append(np.zeros((n_heads, length - query_start, len(names)), dtype=np.float16))
            positions.append(np.full((n_heads, length - query_start, STRONGEST), -1, dtype=np.int32))
            strengths.append(np.zeros((n_heads, length - query_start, STRONGEST), dtype=np.float16))
            continue
        if inputs.keys.shape[1] != length:
            raise InvalidInput(f"Segments cover {length} tokens, layer {layer} has {inputs.keys.shape[1]}.")
        weights = attention_weights(inputs, query_start=query_start)
        masses.append((np.add.reduceat(weights, starts, axis=-1) @ member).astype(np.float16))
        where, strength = _strongest(weights)
        positions.append(where)
        strengths.append(strength)
    return AttentionSummary(
        segments=names,
        mass=np.stack(masses),
        top_positions=np.stack(positions),
        top_mass=np.stack(strengths),
    )


def _strongest(weights: FloatArray) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """The K strongest positions of each row of [H, R, T] and their mass, [H, R, K] each; -1 where none is."""
    heads, rows, length = weights.shape
    kept = min(STRONGEST, length)
    if kept < length:
        found = np.argpartition(weights, length - kept, axis=-1)[..., length - kept :]
    else:
        found = np.broadcast_to(np.arange(length), weights.shape)
    mass = np.take_along_axis(weights, found, axis=-1)
    # Strongest first, the earlier position on ties; a mass of 0 is no position: it is invisible or vanished.
    order = np.lexsort((found, -mass), axis=-1)
    found, mass = np.take_along_axis(found, order, axis=-1), np.take_along_axis(mass, order, axis=-1)
    positions = np.full((heads, rows, STRONGEST), -1, dtype=np.int32)
    strengths = np.zeros((heads, rows, STRONGEST), dtype=np.float16)
    positions[..., :kept] = np.where(mass > 0, found, -1)
    strengths[..., :kept] = mass
    return positions, strengths
