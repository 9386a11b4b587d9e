"""Drawing the next token from logits: one seeded stream of uniform numbers, no global random state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError
from aspen.types import FloatArray, SamplerSettings

#: Lowest weight, the likeliest being 1, of the tokens that are sorted; each step sorts more of them.
#: Nearly always the first step holds all that the settings can reach.
_THRESHOLDS = (math.exp(-4.0), math.exp(-8.0), math.exp(-16.0), 0.0)


class Sampler:
    """Draws token ids from logits. The same settings, seed and logits give the same ids.

    In this order: repetition penalty, temperature, top-k, top-p (over the mass that top-k left), then one
    float64 uniform number and the inverse of the cumulative distribution over the tokens sorted by
    (-probability, id). Temperature 0 takes the likeliest token, the lowest id on ties, and draws no number.
    Arithmetic is float64. Not to be shared between threads.

    Parameters
    ----------
    settings:
        How to draw; refused with InvalidInput where a value is out of range.
    seed:
        Integer >= 0, of the PCG64 stream.
    """

    def __init__(self, settings: SamplerSettings, *, seed: int) -> None:
        check_settings(settings)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InvalidInput(f"The seed must be an integer >= 0, not {seed!r}.", seed=repr(seed))
        self.settings = settings
        self.seed = seed
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._seen: set[int] = set()

    def observe(self, token_ids: Sequence[int] | NDArray[np.int32]) -> None:
        """Tokens that occurred already, for the repetition penalty. `draw` adds the ones it draws itself."""
        self._seen.update(int(token) for token in token_ids)

    def draw(self, logits: FloatArray) -> int:
        """The next token's id, from float32 logits [V].

        A logit of -inf is a token that cannot be drawn. Raises ModelError on NaN, +inf, or no finite logit.
        """
        if logits.ndim != 1 or logits.size == 0:
            raise ModelError(f"Logits of shape [V] are expected, these have shape {list(logits.shape)}.")
        scores = self._penalised(logits)
        best = int(np.argmax(scores))
        peak = float(scores[best])
        # argmax puts NaN first, so this one look finds NaN and +inf, and -inf where nothing is finite.
        if not math.isfinite(peak):
            raise ModelError(
                f"The model's logits are not finite: the largest is {peak}.",
                hint="float16 overflows in some models: load it with dtype float32 or bfloat16.",
            )
        token = best if self.settings.temperature == 0 else self._draw_weighted(scores, peak=peak)
        self._seen.add(token)
        return token

    def _penalised(self, logits: FloatArray) -> NDArray[np.float64]:
        scores = logits.astype(np.float64)
        penalty = self.settings.repetition_penalty
        if penalty != 1.0 and self._seen:
            seen = np.fromiter((token for token in self._seen if token < scores.size), dtype=np.int64)
            values = scores[seen]
            scores[seen] = np.where(values > 0, values / penalty, values * penalty)
        return scores

    def _draw_weighted(self, scores: NDArray[np.float64], *, peak: float) -> int:
        """Inverse CDF over the kept tokens. `scores` float64 [V]."""
        # Weights below the smallest float64 become 0: such tokens cannot be drawn, and need no warning.
        with np.errstate(over="ignore", under="ignore"):
            weights = np.exp((scores - peak) / self.settings.temperature)
        uniform = float(self._random.random())
        top_k, top_p = self.settings.top_k, self.settings.top_p
        whole = float(weights.sum())
        for threshold in _THRESHOLDS:
            # Tokens at or above a threshold are a prefix of the sorted order, whatever lies below it.
            ids = np.flatnonzero(weights >= threshold)
            ids = ids[np.argsort(-weights[ids], kind="stable")]  # stable: ties stay in order of id
            complete = threshold == 0.0
            if top_k:
                if len(ids) < top_k and not complete:
                    continue
                ids = ids[:top_k]
                complete = True
                whole = float(weights[ids].sum())
            cumulative = np.cumsum(weights[ids])
            if top_p < 1.0:
                kept = int(np.searchsorted(cumulative, top_p * whole, side="left")) + 1
                if kept > len(ids) and not complete:
                    continue
                kept = min(kept, len(ids))
                target = uniform * float(cumulative[kept - 1])
            else:
                kept = len(ids)
                target = uniform * whole
                if not complete and float(cumulative[-1]) <= target:
                    continue
            place = int(np.searchsorted(cumulative[:kept], target, side="right"))
            return int(ids[min(place, kept - 1, _last_possible(weights[ids[:kept]]))])
        raise AssertionError("the last threshold keeps every token")


def _last_possible(sorted_weights: NDArray[np.float64]) -> int:
    """Index of the last token with a weight above 0, in weights sorted downwards."""
    return int(np.searchsorted(-sorted_weights, 0.0, side="left")) - 1


def check_settings(settings: SamplerSettings) -> None:
    """Raise InvalidInput where a sampler setting is out of its range."""
    problems = []
    if not (_is_number(settings.temperature) and settings.temperature >= 0):
        problems.append(f"temperature must be a finite number >= 0, not {settings.temperature!r}")
    if isinstance(settings.top_k, bool) or not isinstance(settings.top_k, int) or settings.top_k < 0:
        problems.append(f"top_k must be an integer >= 0, not {settings.top_k!r}")
    if not (_is_number(settings.top_p) and 0 < settings.top_p <= 1):
        problems.append(f"top_p must lie in (0, 1], not {settings.top_p!r}")
    if not (_is_number(settings.repetition_penalty) and settings.repetition_penalty >= 1):
        problems.append(f"repetition_penalty must be finite and >= 1, not {settings.repetition_penalty!r}")
    if problems:
        raise InvalidInput(f"Sampler settings are out of range: {'; '.join(problems)}.", problems=problems)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
