"""Clusters of memories by activation: what people said in several conversations that moved the model alike.

The stored keys are whitened by the calibration, layer by layer, and their mean cosine over the layers is the likeness
of two memories. Words play no part in it. What all memories of a store have in common is taken out first, as far as
there are many of them: in a chat of two friends everything is alike. Clusters are those of average linkage, cut where
two halves are less alike than all but a few pairs of unrelated texts are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db import KeyCode, KeyEncoder, calibration_text
from aspen.memory_graph import linked
from aspen.repository import NO_TIME, Changes, MemoryRows
from aspen.types import FloatArray, Provenance, RelationType

FEWEST = 3
"""A pattern shows in this many memories, each of another conversation or another day."""
_UNRELATED = 0.998
"""Share of the pairs of shipped texts, which have nothing to do with each other, that are less alike than a cluster's
halves. With the bundled model that is a cosine of 0.19."""
_TEXTS = 300
_PRIOR_COUNT = 100.0
"""As many memories as this take half of what they have in common out; fewer tell less of it."""
_FEWEST_TERMS = 6
"""Memories with fewer terms than this are greetings and thanks: they recur, and say nothing."""
_DAY = 86_400_000_000
_SAID = (Provenance.SAID.value, Provenance.IMPORTED.value)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Seqs of memories that are alike, the most central first, and on how many occasions they were said.

    centrality: float32 [n], mean cosine with the others, in the order of `seqs`.
    """

    seqs: tuple[int, ...]
    centrality: tuple[float, ...]
    occasions: int


def alike_threshold(encoder: KeyEncoder) -> float:
    """The likeness that a cluster's halves must have with this model: a cosine, measured on shipped texts.

    It runs them through the model, which takes some seconds.
    """
    turns, _ = calibration_text()
    texts = list(turns[:: max(len(turns) // _TEXTS, 1)][:_TEXTS])
    keys = [np.frombuffer(text.key, dtype=np.uint8) for text in encoder.encode(texts)]
    vectors = whitened(np.stack(keys), code=encoder.key_code)
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return float(np.quantile(pairs, _UNRELATED))


def find_clusters(
    changes: Changes, *, code: KeyCode, alike: float, limit: int, members: Collection[int] = ()
) -> list[Cluster]:
    """Clusters among memories that people said and that nothing has corrected, the largest first.

    Of the newest `limit`, and of the `members` (seqs) of patterns that there are: an old pattern goes on. What the
    model said, recalled or concluded forms none. `changes` is the whole store, of keys of `code`. The time goes with
    the square of `limit`: 0.3 seconds of one core for 2,000 memories, 2 for 5,000.
    """
    rows = _eligible(changes)
    old = np.isin(changes.memories.seqs[rows], list(members))
    old[-limit:] = True
    rows = rows[old]
    if len(rows) < FEWEST:
        return []
    memories = changes.memories
    vectors = whitened(memories.keys[rows], code=code)
    found = []
    for group in linked(vectors, alike=alike):
        if len(group) < FEWEST:
            break  # the largest come first
        occasions = len(set(_occasions(memories, rows[group])))
        if occasions >= FEWEST:
            found.append(_cluster(memories.seqs[rows[group]], vectors[group], occasions=occasions))
    return found


def whitened(keys: NDArray[np.uint8], *, code: KeyCode) -> FloatArray:
    """Encoded keys, uint8 [n, bytes], as float32 [n, d] of length 1, whose dot products are mean cosines.

    Less what they have in common, see above.
    """
    layers = [_unit(layer) for layer in code.coefficients(keys)]
    joined = np.concatenate(layers, axis=1)
    shared = joined.mean(axis=0) * (len(joined) / (len(joined) + _PRIOR_COUNT))
    return _unit(joined - shared)


def _eligible(changes: Changes) -> NDArray[np.int64]:
    """Rows of memories that may form a pattern, ascending."""
    memories, edges = changes.memories, changes.edges
    corrected = {
        source
        for source, kind in zip(edges.sources.tolist(), edges.types, strict=True)
        if kind == RelationType.HISTORICAL_VERSION_OF
    }
    good = np.isin(memories.provenances, _SAID) & (memories.term_counts >= _FEWEST_TERMS)
    return np.flatnonzero(good & ~np.isin(memories.seqs, list(corrected)))


def _occasions(memories: MemoryRows, rows: NDArray[np.int64]) -> Sequence[tuple[str | None, int]]:
    """The conversation and the day of each row."""
    times = np.where(memories.said_at == NO_TIME, memories.created_at, memories.said_at)[rows]
    return [
        (memories.conversations[row], day)
        for row, day in zip(rows.tolist(), (times // _DAY).tolist(), strict=True)
    ]


def _cluster(seqs: NDArray[np.int64], vectors: FloatArray, *, occasions: int) -> Cluster:
    centrality = (vectors @ vectors.sum(axis=0) - 1) / (len(vectors) - 1)
    order = np.argsort(-centrality, kind="stable")
    return Cluster(tuple(seqs[order].tolist()), tuple(centrality[order].tolist()), occasions)


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9), dtype=np.float32)
