from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.memory_graph import linked
from aspen.types import FloatArray


def unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def drawn(n: int, *, seed: int, width: int = 6) -> FloatArray:
    return unit(np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32))


def one_by_one(vectors: FloatArray, *, alike: float) -> set[frozenset[int]]:
    """Average linkage as its definition says: the nearest two of all are merged, until none are near enough."""
    likeness = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    clusters = [[i] for i in range(len(vectors))]
    while len(clusters) > 1:
        pairs = [(i, j) for i in range(len(clusters)) for j in range(i)]
        means = [likeness[np.ix_(clusters[i], clusters[j])].mean() for i, j in pairs]
        best = int(np.argmax(means))
        if means[best] < alike:
            break
        i, j = pairs[best]
        clusters[j] += clusters.pop(i)
    return {frozenset(cluster) for cluster in clusters}


@given(n=st.integers(0, 25), seed=st.integers(0, 1000), alike=st.sampled_from([-0.5, 0.0, 0.2, 0.5, 0.9]))
def test_chains_of_neighbours_come_to_the_same_clusters_as_merging_the_nearest_each_time(
    n: int, seed: int, alike: float
) -> None:
    vectors = drawn(n, seed=seed)
    found = linked(vectors, alike=alike)
    assert {frozenset(rows.tolist()) for rows in found} == one_by_one(vectors, alike=alike)


def test_the_largest_comes_first_and_every_row_is_in_one() -> None:
    vectors = unit(np.array([[0, 1], [1, 0], [1, 0.1], [0.1, 1], [1, 0.05], [-1, -1]], dtype=np.float32))
    assert [rows.tolist() for rows in linked(vectors, alike=0.9)] == [[1, 2, 4], [0, 3], [5]]


def test_vectors_that_are_all_the_same_are_one_cluster() -> None:
    vectors = np.tile(drawn(1, seed=1), (300, 1))
    (rows,) = linked(vectors, alike=0.99)
    assert rows.tolist() == list(range(300))


@pytest.mark.parametrize("spread", [0.05, 3.0])
def test_two_thousand_take_no_time_to_speak_of_be_they_a_hub_or_not(spread: float) -> None:
    random = np.random.default_rng(0)
    vectors = unit((1 + spread * random.standard_normal((2000, 32))).astype(np.float32))
    started = time.perf_counter()
    found = linked(vectors, alike=0.5)
    assert time.perf_counter() - started < 20  # measured: 0.3 seconds
    assert (len(found) == 1) == (spread < 1)
    assert sum(map(len, found)) == 2000
