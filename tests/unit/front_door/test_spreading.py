"""Spreading by itself, at the front door."""

from __future__ import annotations

from typing import Any

import pytest
from tests.front_door import Open, related

from aspen import Aspen
from aspen.errors import InvalidInput, NotFound
from aspen.memory_graph import CARRYING


def test_spreading_says_how_active_each_memory_is_and_why(aspen: Aspen) -> None:
    ids = related(aspen)
    spread = aspen.spread_activation([ids["spring"]], frames=True)
    found = {one.memory.source: one for one in spread.memories}
    assert found["spring"].activation == found["spring"].seed == 1.0
    assert found["pattern"].activation == pytest.approx(0.9 * 1.35 * 0.6)
    assert found["belief"].activation == pytest.approx(0.9 * 1.35 * 0.6 * 0.8 * 1.75 * 0.6)
    (path,) = found["belief"].paths
    assert path.memories == (ids["spring"], ids["pattern"], ids["belief"])
    assert path.relations == ("example_of", "supports")
    assert path.contribution == pytest.approx(found["belief"].activation)
    assert [list(frame) for frame in spread.frames] == [[ids["spring"]], [ids["pattern"]], [ids["belief"]]]
    assert not spread.truncated
    start, *hops = spread.carried
    assert start == ()
    for frame, edges in zip(spread.frames[1:], hops, strict=True):
        assert {edge.target: edge.carried for edge in edges} == pytest.approx(dict(frame))
    assert [(edge.relation, edge.weight) for edges in hops for edge in edges] == [
        ("example_of", 0.9),
        ("supports", 0.8),
    ]
    assert aspen.spread_activation([ids["spring"]]).carried == ()


def test_a_memory_that_was_corrected_says_what_holds_instead(aspen: Aspen) -> None:
    ids = related(aspen)
    for text in ("Xylophones jinx tea.", "Xylophones jinx nobody."):
        newest = aspen.correct(aspen.history(ids["belief"])[-1].id, text)
    told = {
        one.memory.id: one.corrected_by
        for one in aspen.spread_activation([ids["spring"], newest.id]).memories
    }
    assert told == {ids["spring"]: None, ids["pattern"]: None, ids["belief"]: newest.id, newest.id: None}
    aspen.relate(newest.id, ids["belief"], "historical_version_of")  # now they go round in a circle
    (reached,) = (
        one for one in aspen.spread_activation([ids["spring"]]).memories if one.memory.id == ids["belief"]
    )
    assert reached.corrected_by is None


def test_spreading_needs_no_model_and_is_the_same_with_one(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:")
    ids = related(aspen)
    with_graph = aspen.spread_activation({ids["spring"]: 0.7, ids["pattern"]: 0.2}, top_k=2, frames=True)
    without = Aspen.open(aspen.repository, model="nowhere", config=aspen.config)
    from_store = without.spread_activation({ids["spring"]: 0.7, ids["pattern"]: 0.2}, top_k=2, frames=True)
    assert from_store.frames == with_graph.frames
    assert from_store.carried == with_graph.carried
    for one, other in zip(from_store.memories, with_graph.memories, strict=True):
        assert (one.memory, one.activation, one.paths) == (other.memory, other.activation, other.paths)
    assert len(from_store.memories) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"max_hops": 4},
        {"max_hops": -1},
        {"decay": 0.0},
        {"type_boost": {"self": 0.5}},
        {"type_boost": {"opinion": 2.0}},
        {"min_weight": 1.5},
        {"relation_types": ["likes"]},
        {"fan": 0},
        {"top_k": 0},
        {"type_boost": ["self"]},
        {"relation_types": "supports"},
        {"relation_types": 5},
    ],
    ids=str,
)
def test_settings_out_of_their_range_are_refused(aspen: Aspen, settings: dict[str, Any]) -> None:
    ids = related(aspen)
    with pytest.raises(InvalidInput):
        aspen.spread_activation([ids["spring"]], **settings)


@pytest.mark.parametrize(
    ("settings", "valid"),
    [
        ({"type_boost": {"opinion": 2.0}}, "self, belief, pattern, episodic, semantic"),
        ({"relation_types": ["supports", "likes"]}, "summarizes, example_of, is_generalization_of, supports"),
    ],
    ids=str,
)
def test_a_name_that_there_is_not_is_answered_with_those_that_there_are(
    aspen: Aspen, settings: dict[str, Any], valid: str
) -> None:
    ids = related(aspen)
    with pytest.raises(InvalidInput, match=r"opinion|likes") as refused:
        aspen.spread_activation([ids["spring"]], **settings)
    assert valid in refused.value.hint


@pytest.mark.parametrize("seeds", [["m_nowhere"], {"m_nowhere": 1.0}])
def test_unknown_seeds_are_not_found(aspen: Aspen, seeds: Any) -> None:
    related(aspen)
    with pytest.raises(NotFound, match="m_nowhere"):
        aspen.spread_activation(seeds)


@pytest.mark.parametrize("activation", [-0.1, float("nan"), float("inf"), "1", None, True])
def test_seeds_have_an_activation_that_can_be(aspen: Aspen, activation: Any) -> None:
    ids = related(aspen)
    with pytest.raises(InvalidInput):
        aspen.spread_activation({ids["spring"]: activation})


def test_only_the_relations_asked_for_carry(aspen: Aspen) -> None:
    ids = related(aspen)
    aspen.relate(ids["spring"], ids["belief"], "next", weight=1.0)
    assert "next" not in CARRYING

    def reached(**settings: Any) -> set[str | None]:
        return {one.memory.source for one in aspen.spread_activation([ids["spring"]], **settings).memories}

    assert reached(max_hops=1) == {"spring", "pattern"}
    assert reached(relation_types=["next"]) == {"spring", "belief"}
    assert reached(relation_types=["supports"]) == {"spring"}
