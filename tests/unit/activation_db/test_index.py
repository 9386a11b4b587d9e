import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db import KeyCode, KeyIndex, KeyRecipe, KeySpace
from aspen.activation_db.moments import Moments
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0, 2), dims=(12, 5), width=12)
POOLED = drawn(60, 2, 12) * np.geomspace(30, 0.3, 12).astype(np.float32) + 3
SPACE = KeySpace.fit(Moments.of(POOLED), prompt_offset=drawn(2, 12, seed=9), recipe=RECIPE)
CODE = KeyCode.fit(Moments.of(POOLED), recipe=RECIPE)
PROMPT = drawn(2, 12, seed=5) * 4


def encoded(pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    bodies = [np.frombuffer(CODE.encode(vectors), dtype=np.uint8) for vectors in pooled]
    return np.array(bodies, dtype=np.uint8).reshape(len(pooled), CODE.size)


def index_of(pooled: FloatArray) -> KeyIndex:
    index = KeyIndex(code=CODE, space=SPACE)
    index.append(encoded(pooled))
    return index


def exact_cosines(pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """In float64, from the vectors as the store keeps them."""
    pooled = CODE.decode(encoded(pooled))
    columns = []
    for layer, projection in enumerate(SPACE.projections):
        matrix = projection.astype(np.float64)
        memories = (pooled[:, layer].astype(np.float64) - SPACE.memory_mean[layer]) @ matrix
        prompt = (PROMPT[layer].astype(np.float64) - SPACE.prompt_mean[layer]) @ matrix
        columns.append(memories @ prompt / np.linalg.norm(memories, axis=1) / np.linalg.norm(prompt))
    return np.stack(columns, axis=1)


def test_cosines_are_those_of_float64_to_two_digits() -> None:
    cosines = index_of(POOLED).cosines(PROMPT)
    assert cosines.shape == (60, 2)
    assert cosines.dtype == np.float32
    np.testing.assert_allclose(cosines, exact_cosines(POOLED), atol=0.01)
    assert np.ptp(cosines) > 0.5  # the tolerance is small beside what is told apart


def test_more_rows_than_one_block_are_searched_alike() -> None:
    many = np.concatenate([POOLED] * 80)
    cosines = index_of(many).cosines(PROMPT)
    np.testing.assert_allclose(cosines, np.tile(index_of(POOLED).cosines(PROMPT), (80, 1)), atol=1e-6)


def test_appending_in_parts_makes_the_same_index() -> None:
    index = index_of(POOLED[:20])
    index.append(encoded(POOLED[20:21]))
    index.append(encoded(POOLED[21:]))
    assert len(index) == 60
    np.testing.assert_allclose(index.cosines(PROMPT), index_of(POOLED).cosines(PROMPT), atol=1e-6)


def test_named_rows_come_in_the_order_named() -> None:
    index, rows = index_of(POOLED), np.array([41, 3, 3])
    np.testing.assert_allclose(index.cosines(PROMPT, rows=rows), index.cosines(PROMPT)[rows], atol=1e-6)


def test_an_empty_index_takes_an_empty_batch_and_answers() -> None:
    index = index_of(POOLED[:0])
    # A store without keys hands over rows of no bytes at all.
    index.append(np.zeros((0, 0), dtype=np.uint8))
    assert len(index) == 0
    assert index.cosines(PROMPT).shape == (0, 2)


def test_a_memory_that_lies_on_the_mean_is_like_nothing() -> None:
    index = index_of(SPACE.memory_mean[None])
    assert index.cosines(PROMPT) == pytest.approx(0, abs=1)
    assert np.isfinite(index.cosines(PROMPT)).all()
