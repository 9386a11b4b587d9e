from typing import Any

import pytest

from aspen.errors import InvalidInput
from aspen.memory_graph import SpreadingSettings


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        *[("max_hops", bad) for bad in (-1, 4, 1.5, True, "2")],
        *[("decay", bad) for bad in (0, -0.1, 1.01, float("nan"), "0.5", True)],
        *[("min_weight", bad) for bad in (-0.1, 1.01, float("nan"), None)],
        *[("fan", bad) for bad in (0, 10_001, 2.0)],
        *[("node_budget", bad) for bad in (0, -5, 1e4)],
        *[("type_boost", {"self": bad}) for bad in (0, 0.99, 10.1, float("nan"), float("inf"), "2")],
        *[("relation_types", bad) for bad in ("supports", ["supports"], {"supports"})],
    ],
)
def test_a_value_out_of_range_is_refused_and_named_with_what_was_expected(setting: str, bad: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        SpreadingSettings(**{setting: bad})
    value = bad["self"] if setting == "type_boost" else bad
    assert refused.value.message.startswith(setting)
    assert " must be " in refused.value.message
    assert refused.value.message.endswith(f"got {value!r}.")
    assert refused.value.hint


def test_both_ends_of_every_range_are_allowed() -> None:
    SpreadingSettings(max_hops=0, decay=1, type_boost={"self": 1}, min_weight=0, fan=1, node_budget=1)
    SpreadingSettings(
        max_hops=3, decay=1e-9, type_boost={"self": 10}, min_weight=1, relation_types=frozenset(), fan=5_000
    )


def test_self_and_belief_are_boosted_most_pattern_less_and_nothing_else() -> None:
    boosts = SpreadingSettings().type_boost
    assert boosts == {"self": 1.75, "belief": 1.75, "pattern": 1.35}
    boosts["self"] = 9.0  # type: ignore[index]
    assert SpreadingSettings().type_boost["self"] == 1.75
