"""Relations and corrections at the front door, and recall over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.front_door import WHAT, Open, Telling, related, remembered

from aspen import Aspen, MemoryItem
from aspen.errors import AlreadyCorrected, InvalidInput, NotFound
from aspen.types import MemoryType, Provenance, Relation, RelationType, Stability


def names(aspen: Aspen, **options: Any) -> list[str | None]:
    return [hit.memory.source for hit in aspen.recall(WHAT, **options).hits]


# Relations


def test_relations_are_told_from_both_ends(aspen: Aspen) -> None:
    ids = related(aspen)
    to_belief = Relation(ids["pattern"], ids["belief"], RelationType.SUPPORTS, 0.8, Provenance.SAID)
    assert aspen.relations(ids["belief"]) == (to_belief,)
    assert aspen.relations(ids["pattern"]) == (
        to_belief,
        Relation(ids["spring"], ids["pattern"], RelationType.EXAMPLE_OF, 0.9, Provenance.SAID),
    )
    aspen.relate(ids["pattern"], ids["belief"], "supports", weight=0.3, provenance="inferred")
    assert aspen.relations(ids["belief"])[0].weight == 0.3
    assert aspen.relations(ids["belief"])[0].provenance is Provenance.INFERRED
    assert aspen.unrelate(ids["pattern"], ids["belief"], "supports")
    assert not aspen.unrelate(ids["pattern"], ids["belief"], "supports")
    assert aspen.relations(ids["belief"]) == ()


def test_a_relation_can_go_both_ways(aspen: Aspen) -> None:
    ids = {name: memory.id for name, memory in remembered(aspen).items()}
    aspen.relate(ids["spring"], ids["belief"], RelationType.SIMILAR_TO, both_ways=True)
    ends = {(one.source, one.target) for one in aspen.relations(ids["spring"])}
    assert ends == {(ids["spring"], ids["belief"]), (ids["belief"], ids["spring"])}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"weight": 1.1}, InvalidInput),
        ({"weight": -0.1}, InvalidInput),
        ({"weight": float("nan")}, InvalidInput),
        ({"relation": "likes"}, InvalidInput),
        ({"provenance": "hearsay"}, InvalidInput),
        ({"target": "m_nowhere"}, NotFound),
        ({"source": None}, InvalidInput),
        ({"target": "spring"}, InvalidInput),
    ],
    ids=str,
)
def test_a_relation_that_cannot_be_is_refused_and_nothing_is_stored(
    aspen: Aspen, change: dict[str, Any], error: type[Exception]
) -> None:
    ids = {name: memory.id for name, memory in remembered(aspen).items()}
    asked = {"source": ids["spring"], "target": ids["belief"], "relation": "supports", **change}
    if asked["target"] == "spring":
        asked["target"] = ids["spring"]
    with pytest.raises(error):
        aspen.relate(asked.pop("source"), asked.pop("target"), asked.pop("relation"), both_ways=True, **asked)
    assert aspen.relations(ids["spring"]) == ()


# Recall


def test_recall_follows_relations_to_what_shares_nothing_with_the_prompt(aspen: Aspen) -> None:
    ids = related(aspen)
    assert "belief" not in names(aspen, limit=5, use_spreading_activation=False)
    hits = {hit.memory.source: hit for hit in aspen.recall(WHAT, limit=5).hits}
    belief = hits["belief"]
    assert belief.arms["relations"] >= belief.activation > 0
    assert belief.type_boost == 1.75
    assert belief.score == pytest.approx(sum(belief.arms.values()), abs=1e-5)
    path = belief.paths[0]
    assert path.memories[-2:] == (ids["pattern"], ids["belief"])
    assert path.relations[-1] == "supports"
    by_relations = sum(path.contribution for path in belief.paths if path.relations)
    assert by_relations == pytest.approx(belief.activation, rel=1e-6)


def test_what_one_process_relates_another_follows(open_aspen: Open, tmp_path: Any) -> None:
    ours, theirs = (open_aspen(tmp_path / "store.db") for _ in range(2))
    ids = {name: memory.id for name, memory in remembered(ours).items()}
    assert "belief" not in names(theirs, limit=5)
    ours.relate(ids["spring"], ids["belief"], "supports")
    assert "belief" in names(theirs, limit=5)
    ours.unrelate(ids["spring"], ids["belief"], "supports")
    assert "belief" not in names(theirs, limit=5)


def test_in_a_dense_graph_relations_bring_no_more_than_the_best_seed_started_with(aspen: Aspen) -> None:
    ids = related(aspen)
    for name in ids:
        if name.startswith("other"):
            aspen.relate(ids[name], ids["belief"], "supports", weight=1.0)
            aspen.relate(ids["spring"], ids[name], "causes", weight=1.0)
    hits = {hit.memory.source: hit for hit in aspen.recall(WHAT).hits}
    best = max(hit.seed_score for hit in hits.values())
    paths = [path for path in hits["belief"].paths if path.relations]
    assert hits["belief"].activation == pytest.approx(best)
    assert 0 < sum(path.contribution for path in paths) <= best + 1e-9
    assert all(hit.activation < best for hit in hits.values() if hit is not hits["belief"])


def test_half_of_the_places_stay_with_the_best_direct_hits(aspen: Aspen) -> None:
    ids = {name: memory.id for name, memory in remembered(aspen).items()}
    beliefs = aspen.remember_many(
        [MemoryItem(f"Jinx {'q' * n}!", type=MemoryType.BELIEF) for n in range(1, 9)]
    )
    aspen.relate_many([Relation(ids["spring"], one.id, RelationType.SUPPORTS, 1.0) for one in beliefs])
    direct = names(aspen, limit=4, use_spreading_activation=False)
    found = aspen.recall(WHAT, limit=4).hits
    assert {hit.memory.type for hit in found} >= {MemoryType.BELIEF}
    kept = [name for name in direct if name in {hit.memory.source for hit in found}]
    assert kept == direct[:2]
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_a_preset_decides_how_far_it_spreads(aspen: Aspen) -> None:
    related(aspen)
    assert "belief" in names(aspen, limit=5, preset="character")
    assert "belief" not in names(aspen, limit=3, preset="factual")  # two steps away
    with pytest.raises(InvalidInput, match="factual"):
        aspen.recall(WHAT, preset="wild")


def test_priority_is_a_gentle_factor(aspen: Aspen) -> None:
    items = [
        MemoryItem("The exhibition was loud.", source="low", importance=0.0),
        MemoryItem("The exhibition was loud.", source="high", importance=1.0),
        *(MemoryItem(f"Something else {n}.", source=str(n)) for n in range(6)),
    ]
    aspen.remember_many(items)
    low, high = (
        next(hit for hit in aspen.recall("Was the exhibition loud?").hits if hit.memory.source == name)
        for name in ("low", "high")
    )
    assert high.priority - low.priority == pytest.approx(0.2, abs=1e-3)
    assert high.arms["priority"] > 0 > low.arms["priority"]
    assert high.score < 1.2 * low.score


def filled(aspen: Aspen) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    aspen.remember_many(
        [
            MemoryItem("The exhibition A.", "Ann", noon, source="A", tags=("art", "spring")),
            MemoryItem("The exhibition B.", "Ben", noon + timedelta(days=1), source="B", tags=("art",)),
            MemoryItem("The exhibition C.", "Ann", None, source="C", type=MemoryType.SEMANTIC),
            MemoryItem("The exhibition D.", source="D", provenance=Provenance.INFERRED),
        ]
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"types": ["semantic"]}, "C"),
        ({"types": [MemoryType.EPISODIC, "semantic"]}, "ABCD"),
        ({"types": []}, ""),
        ({"tags": ["spring", "summer"]}, "A"),
        ({"tags": ["art"]}, "AB"),
        ({"speaker": "Ann"}, "AC"),
        ({"speaker": "Nobody"}, ""),
        ({"since": datetime(2026, 5, 2)}, "B"),
        ({"until": datetime(2026, 5, 2, 12, tzinfo=UTC)}, "A"),
        ({"provenances": ["inferred"]}, "D"),
        ({"speaker": "Ann", "tags": ["art"]}, "A"),
    ],
    ids=str,
)
def test_filters(aspen: Aspen, filters: dict[str, Any], expected: str) -> None:
    filled(aspen)
    assert {hit.memory.source for hit in aspen.recall("Which exhibition?", **filters).hits} == set(expected)


@pytest.mark.parametrize(
    "filters",
    [
        {"types": ["opinion"]},
        {"types": "self"},
        {"tags": [""]},
        {"tags": "art"},
        {"tags": 5},
        {"since": "May"},
        {"speaker": "a\nb"},
        {"preset": ["factual"]},
    ],
    ids=str,
)
def test_filters_that_nothing_can_pass_are_refused(aspen: Aspen, filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        aspen.recall("Which exhibition?", **filters)


# Versions


def test_a_correction_takes_the_place_of_what_it_corrects(aspen: Aspen) -> None:
    remembered(aspen)
    old = aspen.remember(
        "The exhibition opened on Monday.", speaker="Ann", type="belief", stability="stable", tags=["art"]
    )
    new = aspen.correct(old.id, "No, it was Tuesday.")
    assert (new.speaker, new.type, new.stability, new.tags) == (
        "Ann",
        MemoryType.BELIEF,
        Stability.STABLE,
        ("art",),
    )
    assert aspen.correct(old.id, "No, it was Tuesday.") == new
    with pytest.raises(AlreadyCorrected, match=new.id):
        aspen.correct(old.id, "It was Wednesday.")
    newest = aspen.correct(new.id, "It was Wednesday.")
    for one in (old, new, newest):
        assert [(memory.id, memory.version) for memory in aspen.history(one.id)] == [
            (old.id, 2),
            (new.id, 2),
            (newest.id, 1),
        ]
    hits = aspen.recall("When was the exhibition opened, on Monday?", limit=20).hits
    assert [hit.memory.id for hit in hits][:2] == [
        newest.id,
        old.id,
    ]  # the first shares no word with the prompt
    corrected = {hit.memory.id: hit.corrected_by for hit in hits}
    assert (corrected[old.id], corrected[new.id], corrected[newest.id]) == (newest.id, newest.id, None)


def test_a_correction_belongs_to_the_conversation_and_is_told_outside_of_it(aspen: Aspen) -> None:
    old = aspen.remember("The exhibition opened on Monday.", conversation="c")
    aspen.remember("Something else.", conversation="c")
    new = aspen.correct(old.id, "The exhibition opened on Tuesday.")
    assert new.conversation == "c"
    hits = aspen.recall("When did the exhibition open?", conversation="c").hits
    assert [(hit.memory.id, hit.corrected_by) for hit in hits][:2] == [(new.id, None), (old.id, new.id)]
    elsewhere = aspen.remember("It opened on Wednesday, Ben says.", conversation="d")
    aspen.relate(new.id, elsewhere.id, "historical_version_of")
    hits = aspen.recall("When did the exhibition open?", conversation="c").hits
    told = {hit.memory.id: hit.corrected_by for hit in hits}
    assert (told[old.id], told[new.id]) == (elsewhere.id, elsewhere.id)
    assert hits[0].corrected_by is None


def test_what_was_corrected_stands_in_no_note(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=Telling())
    old = aspen.remember("My sister lives in Lisbon.", speaker="user")
    new = aspen.correct(old.id, "My sister lives in Porto.")
    note = aspen.chat("Where does my sister live?", note_tokens=900, max_tokens=5).note
    assert note is not None
    assert note.memory_ids == (new.id,)


def test_versions_that_refer_to_each_other_do_no_harm(aspen: Aspen) -> None:
    one, other = aspen.remember("The exhibition, one."), aspen.remember("The exhibition, two.")
    aspen.relate(one.id, other.id, "historical_version_of", both_ways=True)
    assert {hit.memory.id for hit in aspen.recall("Which exhibition?").hits} == {one.id, other.id}
    assert {memory.id for memory in aspen.history(one.id)} == {one.id, other.id}
