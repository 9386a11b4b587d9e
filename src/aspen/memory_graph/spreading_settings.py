"""How far activation spreads over typed relations, and what it is multiplied by on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aspen.errors import InvalidInput
from aspen.validation import is_number

MAX_HOPS = 3
MAX_FAN = 5_000
MAX_BOOST = 10.0
DEFAULT_TYPE_BOOST: Mapping[str, float] = {"self": 1.75, "belief": 1.75, "pattern": 1.35}
"""Factors by memory type; every other type has 1."""


@dataclass(frozen=True)
class SpreadingSettings:
    """What decides how activation spreads. InvalidInput for a value out of its range.

    max_hops: in [0, MAX_HOPS].
    decay: in (0, 1], what is left after each hop.
    type_boost: by memory type, a factor in [1, MAX_BOOST] on what a memory of this type receives; 1 for types that are
        not named.
    min_weight: in [0, 1]; edges lighter than this carry nothing.
    relation_types: the only types of edges that carry; None for all.
    fan: in [1, MAX_FAN]; of the edges that these two leave, so many of the heaviest carry out of one memory.
    node_budget: >= 1; so many of the memories that a hop reached go on to the next, the most active ones.
    """

    max_hops: int = 2
    decay: float = 0.6
    type_boost: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_TYPE_BOOST))
    min_weight: float = 0.0
    relation_types: frozenset[str] | None = None
    fan: int = 64
    node_budget: int = 10_000

    def __post_init__(self) -> None:
        _check_count("max_hops", self.max_hops, low=0, high=MAX_HOPS)
        _check_count("fan", self.fan, low=1, high=MAX_FAN)
        _check_count("node_budget", self.node_budget, low=1)
        if not (is_number(self.decay) and 0 < self.decay <= 1):
            raise _refused("decay", "in (0, 1]", self.decay, hint="1 loses nothing on the way.")
        if not (is_number(self.min_weight) and 0 <= self.min_weight <= 1):
            raise _refused("min_weight", "in [0, 1]", self.min_weight, hint="0 lets every edge carry.")
        for memory_type, boost in self.type_boost.items():
            if not (is_number(boost) and 1 <= boost <= MAX_BOOST):
                raise _refused(
                    f"type_boost of {memory_type!r}",
                    f"in [1, {MAX_BOOST:g}]",
                    boost,
                    hint="1 means no boost; to lower a memory, give its edges less weight.",
                )
        if not (self.relation_types is None or isinstance(self.relation_types, frozenset)):
            raise _refused(
                "relation_types",
                "a frozenset of names, or None",
                self.relation_types,
                hint='Write frozenset({"supports"}).',
            )


def _check_count(name: str, value: object, *, low: int, high: float = math.inf) -> None:
    if not (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
        wanted = f"a whole number in [{low}, {high}]" if high < math.inf else f"a whole number >= {low}"
        raise _refused(name, wanted, value, hint="More costs time: each hop multiplies the edges followed.")


def _refused(name: str, wanted: str, value: object, *, hint: str) -> InvalidInput:
    return InvalidInput(f"{name} must be {wanted}, got {value!r}.", hint=hint, setting=name, value=value)
