import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db.transform_code import TransformCode
from aspen.types import FloatArray

WIDTH = 24
SPREAD = np.geomspace(20, 0.05, WIDTH).astype(np.float32)
TURN = np.linalg.qr(drawn(WIDTH, WIDTH, seed=3))[0]
VECTORS = (drawn(4000, WIDTH) * SPREAD) @ TURN.T + 7


def code(*, size: int, per_byte: int | None = None, weights: FloatArray | None = None) -> TransformCode:
    mean, covariance = VECTORS.mean(axis=0, dtype=np.float64), np.cov(VECTORS.T)
    return TransformCode.fit(mean, covariance, size=size, per_byte=per_byte, weights=weights)


def lost(of: TransformCode, vectors: FloatArray = VECTORS) -> float:
    """Squared error, as a share of the variance."""
    error = of.decode(of.encode(vectors)) - vectors
    return float((error**2).sum() / ((vectors - vectors.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize(
    ("per_byte", "expected"), [(2, 0.0095), (3, 0.058), (4, 0.117), (5, 0.19), (8, 0.363)]
)
def test_levels_lose_what_the_best_levels_of_a_normal_distribution_do(per_byte: int, expected: float) -> None:
    """Max 1960, table I, for 16, 6, 4, 3 and 2 levels."""
    every = code(size=-(-WIDTH // per_byte), per_byte=per_byte)
    assert lost(every) == pytest.approx(expected, rel=0.15)


def test_more_bytes_lose_less_and_the_first_directions_get_the_most_levels() -> None:
    errors = [lost(code(size=size)) for size in (1, 2, 4, 8, 12)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02
    shared = code(size=6).per_byte
    assert list(shared) == sorted(shared)
    for per_byte in (2, 3, 4):
        assert lost(code(size=6)) <= lost(code(size=6, per_byte=per_byte))


def test_what_weighs_more_is_kept_better() -> None:
    weights = np.ones(WIDTH, dtype=np.float32)
    weights[5] = 100
    plain, weighted = (
        np.square(of.decode(of.encode(VECTORS)) - VECTORS).mean(axis=0)
        for of in (code(size=5), code(size=5, weights=weights))
    )
    # As well as 16 levels can keep it.
    assert weighted[5] < min(plain[5], 0.012 * VECTORS[:, 5].var())
    assert weighted.sum() > plain.sum()


def test_codes_have_the_size_named_and_each_vector_its_own() -> None:
    few = code(size=5)
    codes = few.encode(VECTORS[:9])
    assert codes.shape == (9, 5)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(few.encode(VECTORS[4:5]), codes[4:5])
    assert few.decode(codes[:0]).shape == (0, WIDTH)
    # What was decoded is encoded alike: nothing drifts.
    np.testing.assert_array_equal(few.encode(few.decode(codes)), codes)


def test_a_dimension_without_spread_does_no_harm() -> None:
    flat = VECTORS.copy()
    flat[:, 3] = 7
    one = TransformCode.fit(flat.mean(axis=0, dtype=np.float64), np.cov(flat.T), size=12)
    assert np.isfinite(one.decode(one.encode(flat))).all()
    still = TransformCode.fit(np.ones(4), np.zeros((4, 4)), size=2)
    np.testing.assert_allclose(still.decode(still.encode(np.ones((1, 4), dtype=np.float32))), 1, atol=1e-4)


def test_it_comes_back_from_its_tensors_and_its_digest_tells_it_from_others() -> None:
    first = code(size=5)
    back = TransformCode.from_tensors(first.to_tensors("a"), "a")
    assert back.digest == first.digest
    np.testing.assert_array_equal(back.decode(first.encode(VECTORS)), first.decode(first.encode(VECTORS)))
    moved = TransformCode(first.mean + 1, first.basis, first.spread, first.weights, first.per_byte)
    assert len({first.digest, code(size=6).digest, moved.digest}) == 3
