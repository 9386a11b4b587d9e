"""The sampler against a plain float64 reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from aspen.errors import InvalidInput, ModelError
from aspen.models import Sampler
from aspen.types import SamplerSettings

SETTINGS = [
    SamplerSettings(temperature=1.0, top_p=1.0),
    SamplerSettings(temperature=0.2, top_p=0.9),
    SamplerSettings(temperature=1.5, top_k=7, top_p=1.0),
    SamplerSettings(temperature=0.8, top_k=40, top_p=0.95, repetition_penalty=1.3),
    SamplerSettings(temperature=30.0, top_p=0.999),
    SamplerSettings(temperature=1.0, top_p=1e-9),
    SamplerSettings(temperature=1.0, top_k=10**9, top_p=1.0),
    SamplerSettings(temperature=1e-320, top_p=1.0),
]


def reference(logits: Any, settings: SamplerSettings, *, uniform: float, seen: set[int]) -> int:
    """One token at a time, nothing clever."""
    scores = []
    for token, logit in enumerate(float(x) for x in logits):
        penalty = settings.repetition_penalty if token in seen else 1.0
        scores.append(logit / penalty if logit > 0 else logit * penalty)
    peak = max(scores)
    weights = [math.exp((s - peak) / settings.temperature) if s > -math.inf else 0.0 for s in scores]
    order = sorted(range(len(weights)), key=lambda token: (-weights[token], token))
    if settings.top_k:
        order = order[: settings.top_k]
    whole = math.fsum(weights[token] for token in order)
    if settings.top_p < 1:
        mass = 0.0
        for count, token in enumerate(order, start=1):
            mass += weights[token]
            if mass >= settings.top_p * whole:
                order = order[:count]
                break
        whole = math.fsum(weights[token] for token in order)
    mass = 0.0
    for token in order:
        mass += weights[token]
        if mass > uniform * whole:
            return token
    return [token for token in order if weights[token] > 0][-1]


def some_logits(kind: str, *, seed: int, size: int = 700) -> Any:
    random = np.random.default_rng(seed)
    if kind == "ties":
        return random.integers(-3, 4, size).astype(np.float32)
    if kind == "peaked":
        return (random.standard_normal(size) ** 3 * 8).astype(np.float32)
    if kind == "masked":
        logits = random.standard_normal(size).astype(np.float32)
        logits[random.random(size) < 0.7] = -np.inf
        return logits
    return random.standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "ties", "peaked", "masked", "single"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_draws_equal_the_reference(kind: str, settings: SamplerSettings) -> None:
    for seed in range(12):
        logits = some_logits(kind, seed=seed, size=1 if kind == "single" else 700)
        sampler = Sampler(settings, seed=seed)
        seen = set(range(0, len(logits), 5))
        sampler.observe(sorted(seen))
        uniforms = np.random.Generator(np.random.PCG64(seed)).random(6)
        for uniform in uniforms:
            expected = reference(logits, settings, uniform=uniform, seen=seen)
            assert sampler.draw(logits) == expected
            seen.add(expected)


def test_every_token_is_drawn_as_often_as_likely() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    sampler = Sampler(SamplerSettings(temperature=1.0, top_p=1.0), seed=3)
    counts = np.bincount([sampler.draw(logits) for _ in range(20_000)], minlength=4)
    np.testing.assert_allclose(counts / 20_000, [0.5, 0.3, 0.15, 0.05], atol=0.012)


def test_temperature_zero_takes_the_first_of_the_likeliest() -> None:
    sampler = Sampler(SamplerSettings(temperature=0.0), seed=0)
    assert sampler.draw(np.array([1, 5, 5, 2], dtype=np.float32)) == 1


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    logits = some_logits("normal", seed=0)
    settings = SamplerSettings(temperature=1.0, top_p=1.0)

    def draws(seed: int) -> list[int]:
        sampler = Sampler(settings, seed=seed)
        return [sampler.draw(logits) for _ in range(20)]

    assert draws(5) == draws(5)
    assert draws(5) != draws(6)


def test_global_random_state_is_left_alone() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    Sampler(SamplerSettings(), seed=1).draw(some_logits("normal", seed=0))
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def test_logits_are_not_changed() -> None:
    logits = some_logits("normal", seed=0)
    copy = logits.copy()
    sampler = Sampler(SamplerSettings(repetition_penalty=2.0), seed=1)
    for _ in range(3):
        sampler.draw(logits)
    assert np.array_equal(logits, copy)


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"repetition_penalty": 0.9},
        {"repetition_penalty": math.inf},
        {"temperature": True},
    ],
)
def test_impossible_settings_are_refused(bad: Any) -> None:
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        Sampler(SamplerSettings(**bad), seed=0)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1"])
def test_impossible_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(InvalidInput):
        Sampler(SamplerSettings(), seed=seed)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_broken_logits_are_refused(value: float, temperature: float) -> None:
    logits = some_logits("normal", seed=0)
    logits[3] = value
    with pytest.raises(ModelError):
        Sampler(SamplerSettings(temperature=temperature), seed=0).draw(logits)
    with pytest.raises(ModelError):
        Sampler(SamplerSettings(), seed=0).draw(np.full(4, -np.inf, dtype=np.float32))
    with pytest.raises(ModelError):
        Sampler(SamplerSettings(), seed=0).draw(np.zeros((2, 2), dtype=np.float32))
