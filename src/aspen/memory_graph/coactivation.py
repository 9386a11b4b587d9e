"""Memories that are used together grow together: Hebbian learning of `co_activated` edges, kept within bounds.

Oja's rule (Oja 1982, "A simplified neuron model as a principal component analyzer"): an edge grows with the activation
of both its ends, and every edge out of a memory that is used shrinks in proportion to its own weight. So a weight
never passes a ceiling however often it is strengthened, and what is no longer used together fades as its end is used
with others. Nothing depends on a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aspen.errors import InvalidInput
from aspen.validation import is_number

Pair = tuple[int, int]
"""Source and target, by seq."""


@dataclass(frozen=True, slots=True)
class CoactivationSettings:
    """How fast links grow and how strong they get.

    rate in (0, 1]: the share of the way to its bound that an edge goes in one use; ceiling in (0, 1]: the weight that
    no edge passes; floor in [0, ceiling): a weight below it is forgotten; group >= 2: most memories of one use that are
    linked, the most active ones.
    """

    rate: float = 0.1
    ceiling: float = 0.5
    floor: float = 0.01
    group: int = 8

    def __post_init__(self) -> None:
        if not (0 < self.rate <= 1 and 0 <= self.floor < self.ceiling <= 1 and self.group >= 2):
            raise InvalidInput(
                f"Co-activation needs 0 < rate <= 1, 0 <= floor < ceiling <= 1 and group >= 2, got {self}."
            )


@dataclass(frozen=True, slots=True)
class WeightChange:
    """An edge before and after; `before` is 0 where it is new, `after` 0 where it is forgotten."""

    source: int
    target: int
    before: float
    after: float


def strengthened(
    weights: Mapping[Pair, float],
    used: Mapping[int, float],
    *,
    settings: CoactivationSettings | None = None,
) -> list[WeightChange]:
    """What one use changes: `w += rate x (ceiling x a_source x a_target - a_source^2 x w)`, at most the ceiling.

    weights: the co_activated edges out of the memories in `used`; used: how active each was, in (0, 1]. An edge to a
    memory that was not used now has a_target 0: it only shrinks. Ascending by source and target; edges whose weight
    stays are left out. InvalidInput for an activation outside (0, 1].
    """
    settings = settings or CoactivationSettings()
    for seq, activation in used.items():
        if not (is_number(activation) and 0 < activation <= 1):
            raise InvalidInput(
                f"The activation of a memory in use must lie in (0, 1], got {activation!r}.", seq=seq
            )
    group = dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))[: settings.group])
    pairs = {(source, target) for source in group for target in group if source != target}
    pairs |= {pair for pair in weights if pair[0] in group}
    changes = []
    for source, target in sorted(pairs):
        before = weights.get((source, target), 0.0)
        sent = group[source]
        pull = settings.ceiling * sent * group.get(target, 0.0) - sent**2 * before
        after = min(before + settings.rate * pull, max(settings.ceiling, before))
        after = after if after >= settings.floor else 0.0
        if after != before:
            changes.append(WeightChange(source, target, before, after))
    return changes
