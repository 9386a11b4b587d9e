"""Co-activation: what grows, what fades, and that nothing grows without bound."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.errors import InvalidInput
from aspen.memory_graph.coactivation import CoactivationSettings, Pair, WeightChange, strengthened


def use(
    weights: dict[Pair, float], used: dict[int, float], settings: CoactivationSettings | None = None
) -> None:
    for change in strengthened(weights, used, settings=settings):
        pair = (change.source, change.target)
        assert weights.get(pair, 0.0) == change.before
        if change.after:
            weights[pair] = change.after
        else:
            del weights[pair]


def test_memories_used_together_are_linked_both_ways() -> None:
    assert strengthened({}, {1: 1.0, 2: 0.5}) == [
        WeightChange(1, 2, 0.0, 0.1 * 0.5 * 0.5),
        WeightChange(2, 1, 0.0, 0.1 * 0.5 * 0.5),
    ]
    assert strengthened({}, {1: 1.0}) == []


def test_a_link_to_what_was_not_used_fades_and_is_forgotten() -> None:
    weights: dict[Pair, float] = {(1, 3): 0.4, (3, 1): 0.4}
    changes = {(c.source, c.target): c for c in strengthened(weights, {1: 1.0, 2: 1.0})}
    assert changes[1, 3].before == 0.4
    assert changes[1, 3].after == pytest.approx(0.36)
    assert (3, 1) not in changes  # its own end was not used
    for _ in range(60):
        use(weights, {1: 1.0, 2: 1.0})
    assert (1, 3) not in weights
    assert weights[3, 1] == 0.4


def test_the_most_active_of_a_large_group_are_linked() -> None:
    used = {seq: seq / 20 for seq in range(1, 21)}
    settings = CoactivationSettings(group=3, floor=0.0)
    linked = {change.source for change in strengthened({}, used, settings=settings)}
    assert linked == {18, 19, 20}


@given(st.lists(st.dictionaries(st.integers(1, 6), st.floats(0.01, 1), min_size=1, max_size=5), max_size=60))
def test_no_weight_passes_the_ceiling_or_stays_below_the_floor(uses: list[dict[int, float]]) -> None:
    settings = CoactivationSettings(rate=0.5)
    weights: dict[Pair, float] = {}
    for used in uses:
        use(weights, used, settings)
        assert all(settings.floor <= weight <= settings.ceiling for weight in weights.values())
        assert all(source != target for source, target in weights)


def test_ten_thousand_uses_of_one_topic_leave_the_others_as_they_are() -> None:
    """Ten topics of ten memories, first used alike; then one of them ten thousand times, now and then with another."""
    chance = random.Random(7)
    topics = [list(range(10 * number, 10 * number + 10)) for number in range(10)]
    weights: dict[Pair, float] = {}
    for _ in range(50):
        for topic in topics:
            use(weights, dict.fromkeys(chance.sample(topic, 4), 1.0))

    def strength(topic: list[int]) -> float:
        return sum(weight for (source, target), weight in weights.items() if {source, target} <= set(topic))

    before = [strength(topic) for topic in topics]
    for number in range(10_000):
        used = chance.sample(topics[0], 4)
        if number % 100 == 0:
            used[0] = chance.choice(topics[1])
        use(weights, dict.fromkeys(used, 1.0))
    after = [strength(topic) for topic in topics]
    # What was not used has not changed at all, what was used a hundred times with the favourite is still linked among
    # itself, and the favourite is no stronger than use makes any topic: within a factor of two of fifty uses.
    assert after[2:] == before[2:]
    assert 0.25 * before[1] < after[1] < before[1]
    assert after[0] < 2 * before[0]
    across = [w for (s, t), w in weights.items() if (s < 10) != (t < 10)]
    assert sum(across) < 0.1 * sum(weights.values())


@pytest.mark.parametrize("activation", [0.0, -1.0, 1.1, float("nan")])
def test_activation_outside_its_range_is_refused(activation: float) -> None:
    with pytest.raises(InvalidInput, match=r"\(0, 1\]"):
        strengthened({}, {1: 1.0, 2: activation})


@pytest.mark.parametrize(
    "part", [{"rate": 0.0}, {"rate": 1.1}, {"ceiling": 0.0}, {"floor": 0.5}, {"group": 1}]
)
def test_settings_outside_their_range_are_refused(part: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="Co-activation needs"):
        CoactivationSettings(**part)  # type: ignore[arg-type]
