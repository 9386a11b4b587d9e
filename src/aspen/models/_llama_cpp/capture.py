"""The partial forward pass: llama.cpp leaves out the rest of the graph once the deepest tensor asked for is there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from aspen.models._llama_cpp.graph import Places, strided
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.session import Parts, cut
from aspen.models.heads import Captured, HeadRef
from aspen.types import FloatArray, TokenIds


def capture(
    parts: Parts, token_ids: TokenIds, *, layers: Sequence[int], heads: Sequence[HeadRef]
) -> Captured:
    """See `LanguageModel.capture_with_heads`, of one sequence. Arguments were checked."""
    key_heads = parts.info.key_heads(heads)
    # The last layer is computed for tokens with outputs only; a pass without any has another graph.
    all_outputs = max(layers) == parts.info.n_layers
    chunks: list[list[FloatArray]] = []
    start = 0
    with parts.pool.lent(len(token_ids), watched=True) as context:
        for chunk in cut(token_ids):
            places = parts.places_for(len(chunk))
            wanted = _wanted(places, layers=layers, heads=heads, key_heads=key_heads)
            seen: dict[int, FloatArray] = {}
            with parts.lock:
                context.run(
                    chunk,
                    start=start,
                    outputs=len(chunk) if all_outputs else 1,
                    take={place: partial(_keep, seen, place, parts.library) for place in sorted(set(wanted))},
                    names=places.names,
                    stop=True,
                )
            start += len(chunk)
            chunks.append([seen[place].reshape(len(chunk), -1) for place in wanted])
    joined = [np.concatenate(pieces) for pieces in zip(*chunks, strict=True)]
    of_queries = joined[len(layers) : len(layers) + len(heads)]
    of_keys = joined[len(layers) + len(heads) :]
    return Captured(
        hidden_states=np.stack(joined[: len(layers)]),
        queries=_picked(of_queries, heads, parts=parts),
        keys=_picked(of_keys, key_heads, parts=parts),
    )


def _wanted(
    places: Places, *, layers: Sequence[int], heads: Sequence[HeadRef], key_heads: Sequence[HeadRef]
) -> list[int]:
    """The place of each layer, each head's queries and each key head's keys."""
    return [
        *(places.residual[layer] for layer in layers),
        *(places.queries[ref.block] for ref in heads),
        *(places.keys[ref.block] for ref in key_heads),
    ]


def _keep(seen: dict[int, FloatArray], place: int, library: Library, tensor: int) -> None:
    seen[place] = strided(tensor, library=library)


def _picked(flat: Sequence[FloatArray], heads: Sequence[HeadRef], *, parts: Parts) -> FloatArray:
    """Of tensors [T, heads x head_dim] the heads asked for, float32 [len(heads), T, head_dim]."""
    if not heads:
        return np.zeros((0, 0, 0), dtype=np.float32)
    by_head = [
        one.reshape(len(one), -1, parts.head_dim)[:, ref.head] for one, ref in zip(flat, heads, strict=True)
    ]
    return parts.layout.ours(np.stack(by_head))
