"""Ways to spread activation, by what one is looking for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aspen.errors import InvalidInput
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.types import MemoryType, RelationType

DEFAULT_PRESET = "balanced"
CARRYING = frozenset(RelationType) - {RelationType.NEXT, RelationType.HISTORICAL_VERSION_OF}
"""The relations that lead on: turns that follow each other spread in their own way, and what was corrected is over."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings with a reason: `when` says what for."""

    when: str
    settings: SpreadingSettings


def _boosts(*, identity: float, pattern: float) -> dict[str, float]:
    """Factors for self and belief, and for pattern."""
    return {MemoryType.SELF: identity, MemoryType.BELIEF: identity, MemoryType.PATTERN: pattern}


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        DEFAULT_PRESET: Preset(
            "Ordinary questions: beliefs and patterns come when something leads to them.",
            SpreadingSettings(relation_types=CARRYING),
        ),
        "factual": Preset(
            "Who, when, where, how much: one careful step, nobody's views before the facts.",
            SpreadingSettings(
                max_hops=1,
                decay=0.4,
                min_weight=0.3,
                type_boost=_boosts(identity=1.0, pattern=1.0),
                relation_types=CARRYING,
            ),
        ),
        "character": Preset(
            "What would this person do: who they are and what they hold weighs most.",
            SpreadingSettings(
                decay=0.7, type_boost=_boosts(identity=2.0, pattern=1.5), relation_types=CARRYING
            ),
        ),
        "creative": Preset(
            "Far connections: three steps, weak links count, no kind of memory is favoured much.",
            SpreadingSettings(
                max_hops=3, decay=0.8, type_boost=_boosts(identity=1.25, pattern=1.5), relation_types=CARRYING
            ),
        ),
        "debugging": Preset(
            "Why did it happen: causes, contradictions and what recurs, over strong links.",
            SpreadingSettings(
                decay=0.8,
                min_weight=0.3,
                type_boost=_boosts(identity=1.0, pattern=2.0),
                relation_types=frozenset(
                    {
                        RelationType.CAUSES,
                        RelationType.CONTRADICTS,
                        RelationType.SUPPORTS,
                        RelationType.EXAMPLE_OF,
                        RelationType.DERIVED_FROM,
                        RelationType.CO_ACTIVATED,
                    }
                ),
            ),
        ),
        "project": Preset(
            "Where does the work stand: from parts to summaries and back to what they rest on.",
            SpreadingSettings(
                decay=0.7,
                type_boost=_boosts(identity=1.25, pattern=1.5),
                relation_types=frozenset(
                    {
                        RelationType.SUMMARIZES,
                        RelationType.DERIVED_FROM,
                        RelationType.SUPPORTS,
                        RelationType.CAUSES,
                        RelationType.NEXT,
                        RelationType.CO_ACTIVATED,
                    }
                ),
            ),
        ),
    }
)
"""By name. The figures of `balanced` are checked on the acceptance store; the others follow from what they are for."""


def preset_settings(name: str = DEFAULT_PRESET) -> SpreadingSettings:
    """The settings of a preset; InvalidInput where there is none of this name."""
    if not isinstance(name, str) or name not in PRESETS:
        raise InvalidInput(f"There is no preset {name!r}.", hint=f"One of {', '.join(PRESETS)}.", preset=name)
    return PRESETS[name].settings
