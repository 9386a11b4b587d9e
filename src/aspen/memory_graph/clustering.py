"""Average linkage: groups of vectors that are alike on average (Sokal and Michener 1958).

Made by chains of nearest neighbours: a chain that goes from each cluster to its nearest one ends at two that are each
other's nearest, and these are merged. For average linkage that gives the same tree as merging the nearest two of all
each time, in O(n^2) (Murtagh 1983). No merge is nearer than those inside its two halves, so that the tree can be cut at
a likeness.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray


def linked(vectors: FloatArray, *, alike: float) -> list[NDArray[np.int64]]:
    """Clusters of the rows of float32 [n, d], cut where two halves have a mean dot product below `alike`.

    Each cluster is ascending row numbers, those of one row included; the largest first, then by their first row. Equal
    input gives equal clusters: the lowest row wins ties. Takes n^2 floats of memory.
    """
    count = len(vectors)
    likeness = np.asarray(vectors @ vectors.T, dtype=np.float32)
    np.fill_diagonal(likeness, -np.inf)
    sizes = np.ones(count)
    roots = np.arange(count)  # of each row, the row that stands for its cluster
    standing = np.ones(count, dtype=np.bool_)  # rows that stand for a cluster that may still be merged
    chain: list[int] = []
    while standing.any():
        if not chain:
            chain.append(int(np.argmax(standing)))
        here = chain[-1]
        nearest = int(np.argmax(likeness[here]))
        if len(chain) > 1 and likeness[here, chain[-2]] >= likeness[here, nearest]:
            nearest = chain[-2]  # on ties back, so that the chain ends
        if likeness[here, nearest] < alike:
            # Nothing is near it, nor will be: a mean over two clusters is no greater than the greater one.
            standing[here] = False
            likeness[here] = likeness[:, here] = -np.inf
            chain.pop()
        elif len(chain) > 1 and nearest == chain[-2]:
            del chain[-2:]
            kept, gone = min(here, nearest), max(here, nearest)
            share = sizes[kept] / (sizes[kept] + sizes[gone])
            merged = share * likeness[kept] + (1 - share) * likeness[gone]
            merged[[kept, gone]] = -np.inf
            likeness[kept] = likeness[:, kept] = merged
            likeness[gone] = likeness[:, gone] = -np.inf
            sizes[kept] += sizes[gone]
            roots[roots == gone] = kept
            standing[gone] = False
        else:
            chain.append(nearest)
    clusters = [np.flatnonzero(roots == root) for root in np.unique(roots)]
    return sorted(clusters, key=lambda rows: (-len(rows), int(rows[0])))
