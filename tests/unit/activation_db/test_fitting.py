import numpy as np
import pytest
from safetensors.numpy import load, save
from tests.builders import drawn

from aspen.activation_db import Calibration, KeyCode, KeyRecipe, KeySpace, StoreFit, fitting
from aspen.activation_db.fitting import PRIOR_COUNT, moments_of
from aspen.activation_db.moments import Moments
from aspen.activation_db.trait_probe import TraitProbe
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0,), dims=(4,), width=4)
SPACE = KeySpace.fit(
    Moments.of(drawn(500, 1, 4)), prompt_offset=np.zeros((1, 4), dtype=np.float32), recipe=RECIPE
)
CODE = KeyCode.fit(Moments.of(drawn(500, 1, 4)), recipe=RECIPE)
PRIOR = Calibration(
    turns=Moments.of(drawn(500, 1, 4)),
    prompt_offset=np.full((1, 4), 2, dtype=np.float32),
    token_weights=np.ones(3, dtype=np.float32),
    probe=TraitProbe.fit(drawn(9, 1, 4), ["other"] * 9, space=SPACE),
    key_code=CODE,
)


def keys(pooled: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    bodies = [np.frombuffer(CODE.encode(vectors), dtype=np.uint8) for vectors in pooled]
    return np.array(bodies, dtype=np.uint8).reshape(len(pooled), CODE.size)


START = StoreFit.start(calibration=PRIOR, recipe=RECIPE)


def updated(fit: StoreFit, pooled: FloatArray, *, seqs: range | list[int] | None = None) -> StoreFit:
    """`fit`, brought to a store of these pooled vectors, whose seqs count from 1 where not given."""
    numbers = np.array(range(1, len(pooled) + 1) if seqs is None else seqs, dtype=np.int64)
    return fit.updated(numbers, keys(pooled), calibration=PRIOR, recipe=RECIPE)


def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each fit from now on reads."""
    counts: list[int] = []

    def counting(body: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *, code: KeyCode) -> Moments:
        counts.append(len(body))
        return moments_of(body, code=code)

    monkeypatch.setattr(fitting, "moments_of", counting)
    return counts


@pytest.mark.parametrize(
    ("memories", "fitted_on", "due"),
    [
        (0, 0, False),
        (19, 0, False),
        (20, 0, True),
        (20, 20, False),
        (25, 20, False),
        (26, 20, True),
        (1299, 1000, False),
        (1300, 1000, True),
        (800, 1000, False),
        (769, 1000, True),  # three in ten were forgotten
        (19, 1000, False),  # too few to fit anything on
    ],
)
def test_a_fit_is_due_at_twenty_memories_and_after_each_growth_by_three_tenths(
    memories: int, fitted_on: int, *, due: bool
) -> None:
    assert updated(START, drawn(fitted_on, 1, 4)).is_due(memories) is due


def test_without_memories_the_calibration_alone_decides() -> None:
    for fit in (START, updated(START, drawn(0, 1, 4))):
        assert fit.memories == 0
        np.testing.assert_allclose(fit.space.memory_mean, PRIOR.turns.mean, rtol=1e-4, atol=1e-6)
        offset = fit.space.prompt_mean - fit.space.memory_mean
        np.testing.assert_allclose(offset, PRIOR.prompt_offset, rtol=1e-5)


def test_the_calibration_fades_as_the_store_grows() -> None:
    pooled = drawn(900, 1, 4, seed=1) + 2
    for n in (1, 100, 900):
        fit = updated(START, pooled[:n])
        share = n / (n + PRIOR_COUNT)
        kept = CODE.decode(keys(pooled[:n]))
        expected = share * kept.mean(axis=0) + (1 - share) * PRIOR.turns.mean
        assert fit.memories == n
        np.testing.assert_allclose(fit.space.memory_mean, expected, atol=1e-3)
        offset = fit.space.prompt_mean - fit.space.memory_mean
        np.testing.assert_allclose(offset, PRIOR.prompt_offset, rtol=1e-4)


def test_a_growing_store_is_fitted_on_what_is_new_and_comes_out_as_if_fitted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pooled = drawn(90, 1, 4, seed=2) * np.array([1, 5, 1, 2], dtype=np.float32) + 3
    read = rows_read(monkeypatch)
    fit = START
    for n in (20, 50, 90):
        fit = updated(fit, pooled[:n])
    assert read == [20, 30, 40]
    at_once = updated(START, pooled)
    assert fit.memories == at_once.memories == 90
    np.testing.assert_allclose(fit.own.mean, at_once.own.mean, rtol=1e-6)
    np.testing.assert_allclose(fit.own.scatter, at_once.own.scatter, rtol=1e-4, atol=1e-2)


def test_after_a_memory_was_forgotten_nothing_of_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = drawn(40, 1, 4, seed=3)
    before = updated(START, pooled[:30])
    left = np.delete(pooled, 12, axis=0)
    seqs = [seq for seq in range(1, 41) if seq != 13]
    read = rows_read(monkeypatch)
    after = updated(before, left, seqs=seqs)
    assert read == [39]
    alone = updated(START, left, seqs=seqs)
    np.testing.assert_array_equal(after.own.mean, alone.own.mean)
    np.testing.assert_array_equal(after.own.scatter, alone.own.scatter)


def test_a_store_that_lost_its_last_memories_is_fitted_on_the_rest() -> None:
    pooled = drawn(40, 1, 4, seed=3)
    after = updated(updated(START, pooled), pooled[:25])
    assert (after.memories, after.last_seq) == (25, 25)
    np.testing.assert_array_equal(after.own.mean, updated(START, pooled[:25]).own.mean)


def test_a_fit_survives_its_bytes_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = drawn(60, 1, 4, seed=4)
    fit = updated(START, pooled[:40])
    back = StoreFit.from_bytes(fit.to_bytes())
    assert back is not None
    assert (back.memories, back.last_seq) == (40, 40)
    np.testing.assert_array_equal(back.space.projections[0], fit.space.projections[0])
    read = rows_read(monkeypatch)
    np.testing.assert_allclose(updated(back, pooled).own.mean, updated(START, pooled).own.mean, atol=1e-5)
    assert read == [20, 60]


def test_what_cannot_be_read_is_no_fit() -> None:
    body = updated(START, drawn(30, 1, 4)).to_bytes()
    tensors = load(body)
    assert StoreFit.from_bytes(body[: len(body) // 2]) is None
    assert StoreFit.from_bytes(save({k: v for k, v in tensors.items() if k != "mean"})) is None
    assert StoreFit.from_bytes(save(tensors | {"version": tensors["version"] + 1})) is None


def test_a_fit_of_another_recipe_is_no_fit() -> None:
    body = updated(START, drawn(30, 1, 4)).to_bytes()
    assert StoreFit.from_bytes(body, recipe=RECIPE) is not None
    for other in (
        KeyRecipe(layers=(0, 1), dims=(4, 4), width=4),
        KeyRecipe(layers=(0,), dims=(3,), width=4),
        KeyRecipe(layers=(0,), dims=(4,), width=5),
    ):
        assert StoreFit.from_bytes(body, recipe=other) is None
    parts = load(body)
    for name, part in {
        "prompt_mean": parts["prompt_mean"][:, :3],
        "projection.0": parts["projection.0"][:3],
        "memory_mean": np.zeros((0, 4), dtype=np.float32),
        "last_seq": np.zeros(0, dtype=np.int64),
    }.items():
        damaged = save(parts | {name: np.ascontiguousarray(part)})
        assert StoreFit.from_bytes(damaged, recipe=RECIPE) is StoreFit.from_bytes(damaged) is None


def test_a_large_store_is_sampled_evenly_and_a_small_one_read_whole() -> None:
    body = keys(drawn(3, 1, 4))
    assert moments_of(np.repeat(body, 1000, axis=0), code=CODE).count == 3000
    # A third of the rows each, in order: a sample of the beginning alone would see only the first.
    large = moments_of(np.repeat(body, 7000, axis=0), code=CODE)
    assert large.count == 10_000
    np.testing.assert_allclose(large.mean, moments_of(body, code=CODE).mean, atol=1e-3)
