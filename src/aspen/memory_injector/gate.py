"""The gate of two-pass: whether a reply needs memories, by what the store knows and what the model does not.

    need = 1 / (1 + exp(-(0.90 + 0.94 x logit(familiarity) + 0.31 x entropy)))

familiarity: of the recall, in [0, 1], clipped to [0.001, 0.999]. Where the store has been measured, its logit is
lowered by how much more familiar than usual the store finds questions that it cannot answer. entropy: of the first
pass, in nats. The weights were fitted by logistic regression with the bundled model, see tools/fit_two_pass.py and
docs/strategies-explained.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# The constant, the weight of the familiarity's logit, and that of the entropy.
_BY_NEXT_TOKEN = (0.90, 0.94, 0.31)
_BY_DRAFT = (1.10, 0.98, 0.40)
USUAL = 0.03
"""Upper quartile of the familiarity of questions that a store cannot answer, in the shipped stores."""
THRESHOLD = 0.5
_CLIP = 0.001


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says. need in [0, 1]: how likely it is that the reply needs memories; offset: see `judge`."""

    need: float
    offset: float

    @property
    def needed(self) -> bool:
        """Whether that is likely enough."""
        return self.need >= THRESHOLD


def judge(
    familiarity: float, *, entropy: float, unknown_familiarity: float | None, drafted: bool = False
) -> Judgement:
    """Weigh a recall's familiarity, in [0, 1], and the first pass's entropy, in nats, of a draft if `drafted`.

    `unknown_familiarity`, in [0, 1], is that of questions which this store cannot answer, None where it is not known.
    The offset, >= 0, is how much of the logit it takes away: a store never has to show less than usual.
    """
    unknown = USUAL if unknown_familiarity is None else unknown_familiarity
    offset = max(0.0, _logit(unknown) - _logit(USUAL))
    constant, of_familiarity, of_entropy = _BY_DRAFT if drafted else _BY_NEXT_TOKEN
    score = constant + of_familiarity * (_logit(familiarity) - offset) + of_entropy * entropy
    return Judgement(1 / (1 + math.exp(-score)), offset)


def _logit(share: float) -> float:
    clipped = min(max(share, _CLIP), 1 - _CLIP)
    return math.log(clipped / (1 - clipped))
