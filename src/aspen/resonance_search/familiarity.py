"""Familiarity: how likely it is that a store can answer a prompt at all, whatever its hits look like.

Scores only rank: the best of a store that knows nothing of the matter is still the best. Familiarity is a probability
in [0, 1], made from two absolute figures: the share of the prompt's words, by their idf, that stand in one memory, and
the mean cosine of the whitened keys. The weights were fitted by logistic regression on questions put to the store
that can answer them and to others, as often (docs/benchmarks/recall.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aspen.types import FloatArray

# Weight of the share of words, of the cosine, and the constant.
_BOTH = (6.3, 21.0, -7.7)
_WORDS_ALONE = (9.4, 0.0, -4.1)
_COSINE_ALONE = (0.0, 26.0, -6.2)


def familiarity(shares: FloatArray | None, cosines: FloatArray | None) -> NDArray[np.float64]:
    """Probability in [0, 1] by the share of words and the mean cosine, [n] each; None where there is none."""
    if shares is None and cosines is None:
        return np.zeros(0)
    of_words, of_cosine, constant = (
        _COSINE_ALONE if shares is None else _WORDS_ALONE if cosines is None else _BOTH
    )
    logit = (
        constant
        + of_words * (0 if shares is None else shares)
        + of_cosine * (0 if cosines is None else cosines)
    )
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)
