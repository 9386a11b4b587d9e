from __future__ import annotations

import numpy as np
import pytest

from aspen.memory_graph import duplicates as module
from aspen.memory_graph import nearest_before


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 50])
def test_the_nearest_of_those_before_is_found_in_blocks(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", 8)
    vectors = np.random.default_rng(count).normal(size=(count, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9
    nearest, cosines = nearest_before(vectors)
    products = vectors @ vectors.T
    for row in range(count):
        if row == 0:
            assert (nearest[0], cosines[0]) == (-1, -np.inf)
            continue
        assert nearest[row] == products[row, :row].argmax()
        assert cosines[row] == pytest.approx(products[row, :row].max(), abs=1e-6)


def test_of_equal_ones_the_first_counts() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    nearest, cosines = nearest_before(vectors)
    assert nearest.tolist() == [-1, 0, 0, 0]
    assert cosines.tolist()[1:] == [0, 1, 1]
