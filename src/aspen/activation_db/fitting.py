"""When and how a store's own whitening is fitted: from stored keys, without running the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.calibration import Calibration
from aspen.activation_db.keys import KeyRecipe, decode_keys
from aspen.activation_db.whitening import KeySpace, Moments

PRIOR_COUNT = 100.0
"""How many memories the calibration counts as, beside the store's own."""
_FIRST_FIT = 20
_GROWTH = 1.3
_MOST_ROWS = 10_000
_BLOCK = 2048


def fit_due(memories: int, *, fitted_on: int) -> bool:
    """Whether a store of `memories` has outgrown a fit made on `fitted_on`, or shrunk far below it.

    The time between fits grows with the store, so that all fits together cost a few passes over the keys.
    """
    if memories < _FIRST_FIT:
        return False
    return memories >= _GROWTH * fitted_on or memories * _GROWTH <= fitted_on


def fit_space(keys: NDArray[np.uint8], *, calibration: Calibration, recipe: KeyRecipe) -> KeySpace:
    """Whitening for a store with these encoded keys, uint8 [n, bytes]; n may be 0.

    The calibration stands in for memories not there yet: it fades as the store grows, without a jump.
    """
    own = moments_of(keys, recipe=recipe)
    prior = calibration.turns.weighted(PRIOR_COUNT)
    return KeySpace.fit(
        prior.merge(own), prompt_offset=calibration.prompt_offset, recipe=recipe, fitted_on=len(keys)
    )


def moments_of(keys: NDArray[np.uint8], *, recipe: KeyRecipe) -> Moments:
    """Moments of encoded keys, from at most 10,000 rows spread evenly over them.

    Ten thousand rows settle a covariance of some 600 dimensions; more cost time and move nothing.
    """
    if len(keys) > _MOST_ROWS:
        keys = keys[np.linspace(0, len(keys) - 1, _MOST_ROWS).astype(np.int64)]
    moments = Moments.empty(n_layers=len(recipe.layers), width=recipe.width)
    for start in range(0, len(keys), _BLOCK):
        moments = moments.merge(Moments.of(decode_keys(keys[start : start + _BLOCK], recipe=recipe)))
    return moments
