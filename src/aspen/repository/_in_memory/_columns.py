"""Columns of the rows that a store hands over, made of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from aspen.repository.values import EdgeRows, Mention, MentionRows, TraitRows
from aspen.types import Edge


def mention_rows(mentions: Iterable[tuple[int, Mention]]) -> MentionRows:
    """Mentions with the seqs of their memories, in the order given."""
    columns = list(mentions)
    return MentionRows(
        seqs=np.array([seq for seq, _ in columns], dtype=np.int64),
        names=[mention.name for _, mention in columns],
        starts=np.array([mention.start for _, mention in columns], dtype=np.int32),
        stops=np.array([mention.stop for _, mention in columns], dtype=np.int32),
    )


def trait_rows(traits: Iterable[tuple[int, Mapping[str, float]]]) -> TraitRows:
    """Traits by seq, in the order of the seqs given."""
    columns = [(seq, name, value) for seq, own in traits for name, value in sorted(own.items())]
    return TraitRows(
        seqs=np.array([seq for seq, _, _ in columns], dtype=np.int64),
        names=[name for _, name, _ in columns],
        values=np.array([value for _, _, value in columns], dtype=np.float32),
    )


def edge_rows(edges: Iterable[Edge]) -> EdgeRows:
    """Edges in the order given."""
    columns = list(edges)
    return EdgeRows(
        sources=np.array([edge.source for edge in columns], dtype=np.int64),
        targets=np.array([edge.target for edge in columns], dtype=np.int64),
        types=[edge.type for edge in columns],
        weights=np.array([edge.weight for edge in columns], dtype=np.float64),
    )
