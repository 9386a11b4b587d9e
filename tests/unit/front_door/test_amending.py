"""Amendments, corrections that are undone, merges, and what forgetting would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.front_door import WHAT, Open, Telling, related, remembered

from aspen import Aspen, Memory, MemoryItem
from aspen.errors import AlreadyCorrected, Conflict, InvalidInput, NotFound
from aspen.types import Emotion, MemoryType, Relation, RelationType, Stability

# Amending


def test_what_is_given_changes_and_the_rest_stays(aspen: Aspen) -> None:
    first = aspen.remember("x", speaker="Ann", emotion=Emotion("joy", 0.5), tags=["a"])
    second = aspen.amend(first.id, type="belief", importance="high")
    assert (second.version, second.type, second.importance) == (2, MemoryType.BELIEF, 1.0)
    assert (second.text, second.speaker, second.emotion, second.tags) == ("x", "Ann", first.emotion, ("a",))
    third = aspen.amend(first.id, version=2, emotion=None, tags=(), stability=Stability.STABLE)
    assert (third.version, third.emotion, third.tags, third.stability) == (3, None, (), Stability.STABLE)
    assert aspen.amend(first.id, version=3) == third
    assert aspen.remember("x", speaker="Ann") == third


def test_a_stale_edit_is_refused(aspen: Aspen) -> None:
    memory = aspen.remember("x")
    aspen.amend(memory.id, version=1, importance=0.5)
    with pytest.raises(Conflict, match="version 2, not 1"):
        aspen.amend(memory.id, version=1, importance=0.75)
    assert aspen.repository.get([memory.id])[0].importance == 0.5


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"version": 0}, InvalidInput),
        ({"version": True}, InvalidInput),
        ({"type": "opinion"}, InvalidInput),
        ({"importance": 2}, InvalidInput),
        ({"emotion": "joy"}, InvalidInput),
        ({"tags": "abc"}, InvalidInput),
        ({"memory_id": "m_nowhere"}, NotFound),
        ({"memory_id": None}, InvalidInput),
    ],
    ids=str,
)
def test_amendments_that_cannot_be_are_refused(
    aspen: Aspen, change: dict[str, Any], error: type[Exception]
) -> None:
    memory = aspen.remember("x")
    with pytest.raises(error):
        asked = {"memory_id": memory.id, "importance": 0.5, **change}
        aspen.amend(asked.pop("memory_id"), **asked)
    assert aspen.repository.get([memory.id]) == [memory]


@pytest.mark.parametrize("other", [False, True], ids=["here", "elsewhere"])
def test_the_next_recall_sees_what_was_amended(open_aspen: Open, tmp_path: Path, *, other: bool) -> None:
    aspen = open_aspen(tmp_path / "store.db")
    ids = related(aspen)
    before = {hit.memory.source: hit for hit in aspen.recall(WHAT).hits}
    assert aspen.recall(WHAT, tags=["new"]).hits == ()
    amending = open_aspen(tmp_path / "store.db") if other else aspen
    amending.amend(ids["spring"], tags=["new"], importance=1.0)
    amending.amend(ids["belief"], type="episodic")
    after = {hit.memory.source: hit for hit in aspen.recall(WHAT).hits}
    assert [hit.memory.source for hit in aspen.recall(WHAT, tags=["new"]).hits] == ["spring"]
    assert after["spring"].priority > before["spring"].priority
    assert (before["belief"].type_boost, after["belief"].type_boost) == (1.75, 1)
    assert after["belief"].activation < before["belief"].activation
    assert aspen.recall(WHAT, types=["belief"]).hits == ()
    by_words = amending.recall(WHAT, arms=["keyword"], tags=["new"]).hits
    assert [hit.memory.source for hit in by_words] == ["spring"]


# Corrections, and their undoing


def test_a_corrected_memory_holds_again(aspen: Aspen) -> None:
    old = aspen.remember("Mara lives in Lisbon", speaker="Ann")
    newer = aspen.correct(old.id, "Mara lives in Porto")
    assert aspen.recall("Where does Mara live?", limit=1).hits[0].memory == newer
    assert aspen.restore(old.id).id == old.id
    assert aspen.history(old.id) == (aspen.repository.get([old.id])[0],)
    hits = {hit.memory.id: hit.corrected_by for hit in aspen.recall("Where does Mara live?").hits}
    assert hits == {old.id: None, newer.id: None}
    with pytest.raises(InvalidInput, match="was not corrected"):
        aspen.restore(old.id)
    assert aspen.correct(old.id, "Mara lives in Porto") == newer  # and back
    assert [memory.id for memory in aspen.history(old.id)] == [old.id, newer.id]
    with pytest.raises(NotFound):
        aspen.restore("m_nowhere")


def test_a_version_in_the_middle_is_restored_alone(aspen: Aspen) -> None:
    first = aspen.remember("one")
    second = aspen.correct(first.id, "two")
    third = aspen.correct(second.id, "three")
    aspen.restore(second.id)
    assert [memory.text for memory in aspen.history(first.id)] == ["one", "two"]
    assert [memory.text for memory in aspen.history(third.id)] == ["three"]


def test_a_correction_is_stored_with_its_relation_or_not_at_all(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = aspen.remember("Mara lives in Lisbon")
    add = aspen.repository.add

    def forgotten_meanwhile(*arguments: Any, **options: Any) -> Any:
        aspen.repository.forget([old.id])
        return add(*arguments, **options)

    monkeypatch.setattr(aspen.repository, "add", forgotten_meanwhile)
    with pytest.raises(NotFound):
        aspen.correct(old.id, "Mara lives in Porto")
    assert aspen.page().total == 0
    monkeypatch.undo()
    old = aspen.remember("Mara lives in Lisbon")
    before = aspen.repository.revision()
    aspen.correct(old.id, "Mara lives in Porto")
    assert aspen.repository.revision() == before + 1


Change = Callable[[Aspen, str, int | None], object]
CHANGES: dict[str, Change] = {
    "correct": lambda aspen, id_, version: aspen.correct(id_, "new", version=version),
    "forget": lambda aspen, id_, version: aspen.forget(id_, version=version),
    "merge": lambda aspen, id_, version: aspen.merge(id_, aspen.remember("twin").id, version=version),
    "restore": lambda aspen, id_, version: aspen.restore(id_, version=version),
}


def to_change(aspen: Aspen, change: str) -> Memory:
    """A memory of which each change has something to do."""
    memory = aspen.remember("old")
    aspen.remember("twin")
    if change == "restore":
        aspen.correct(memory.id, "newer")
    return aspen.repository.get([memory.id])[0]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_can_name_the_version_that_it_is_based_on(aspen: Aspen, change: str) -> None:
    memory = to_change(aspen, change)
    stale, current = memory.version, aspen.amend(memory.id, importance=0.9).version
    before = aspen.repository.revision()
    with pytest.raises(Conflict) as caught:
        CHANGES[change](aspen, memory.id, stale)
    assert caught.value.details == {"id": memory.id, "version": current, "expected": stale}
    with pytest.raises(InvalidInput):
        CHANGES[change](aspen, memory.id, 0)
    assert aspen.repository.revision() == before
    CHANGES[change](aspen, memory.id, current)
    assert aspen.repository.revision() == before + 1


@pytest.mark.parametrize("change", ["correct", "merge", "restore"])
@pytest.mark.parametrize("given", [False, True], ids=["any version", "a version"])
def test_no_edit_is_lost_between_reading_and_writing(
    aspen: Aspen, change: str, monkeypatch: pytest.MonkeyPatch, *, given: bool
) -> None:
    memory = to_change(aspen, change)
    method = "add" if change == "correct" else "relate"
    write = getattr(aspen.repository, method)

    def amended_meanwhile(*arguments: Any, **options: Any) -> Any:
        aspen.repository.amend(memory.id, {"tags": ["meanwhile"]})
        return write(*arguments, **options)

    monkeypatch.setattr(aspen.repository, method, amended_meanwhile)
    with pytest.raises(Conflict):
        CHANGES[change](aspen, memory.id, memory.version if given else None)
    monkeypatch.undo()
    corrected = change == "restore"
    assert len(aspen.history(memory.id)) == 1 + corrected
    assert aspen.repository.get([memory.id])[0].tags == ("meanwhile",)


def test_a_version_is_that_of_one_memory(aspen: Aspen) -> None:
    one, two = aspen.remember("one"), aspen.remember("two")
    with pytest.raises(InvalidInput, match="got 2 memories"):
        aspen.forget(one.id, two.id, version=1)
    assert aspen.page().total == 2


def test_what_is_corrected_already_is_a_conflict(aspen: Aspen) -> None:
    old = aspen.remember("one")
    new = aspen.correct(old.id, "two")
    with pytest.raises(AlreadyCorrected) as caught:
        aspen.correct(old.id, "three")
    assert caught.value.details == {"corrected_by": new.id}
    with pytest.raises(Conflict, match="version 2, not 1"):
        aspen.correct(old.id, "three", version=1)


def test_a_use_is_noted_whole_or_not_at_all(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [aspen.remember(text).id for text in ("one", "two", "three")]
    aspen.reinforce(ids[:2])
    before = aspen.repository.revision()
    aspen.reinforce(ids)
    assert aspen.repository.revision() == before + 1
    uses = [memory.access_count for memory in aspen.repository.get(ids)]
    relate = aspen.repository.relate

    def forgotten_meanwhile(*arguments: Any, **options: Any) -> None:
        aspen.repository.forget([ids[2]])
        relate(*arguments, **options)

    monkeypatch.setattr(aspen.repository, "relate", forgotten_meanwhile)
    links = aspen.relations(ids[0])
    with pytest.raises(NotFound):
        aspen.reinforce(ids)
    assert [memory.access_count for memory in aspen.repository.get(ids[:2])] == uses[:2]
    assert set(aspen.relations(ids[0])) <= set(links)


# Merging


def merged(aspen: Aspen) -> dict[str, Memory]:
    texts = {
        "keep": "Mara moved to Lisbon",
        "twin": "Mara moved to Lisbon.",
        "triplet": "mara moved to lisbon",
    }
    rest = {"belief": "Cities change people", "cause": "The office closed"}
    items = [MemoryItem(text, source=name, conversation="talk") for name, text in {**texts, **rest}.items()]
    memories = dict(zip([*texts, *rest], aspen.remember_many(items), strict=True))
    ids = {name: memory.id for name, memory in memories.items()}
    aspen.relate(ids["keep"], ids["belief"], "supports", weight=0.5)
    aspen.relate(ids["twin"], ids["belief"], "supports", weight=0.75)
    aspen.relate(ids["triplet"], ids["belief"], "supports", weight=0.25, provenance="imported")
    aspen.relate(ids["cause"], ids["triplet"], "causes", weight=0.25)
    aspen.relate(ids["twin"], ids["keep"], "similar_to", both_ways=True)
    aspen.relate(ids["triplet"], ids["twin"], "contradicts", weight=1.0)
    return memories


def relations_of(aspen: Aspen, memory: Memory) -> set[tuple[str, str, RelationType, float]]:
    return {(one.source, one.target, one.type, one.weight) for one in aspen.relations(memory.id)}


def test_the_kept_memory_takes_over_relations(aspen: Aspen) -> None:
    memories = merged(aspen)
    keep, twin, triplet, belief, cause = memories.values()
    before = {name: relations_of(aspen, memory) for name, memory in memories.items()}
    revision = aspen.repository.revision()
    assert aspen.merge(keep.id, twin.id, triplet.id, twin.id) == keep
    assert aspen.repository.revision() == revision + 1
    taken = relations_of(aspen, keep) - before["keep"]
    assert taken == {
        (keep.id, belief.id, RelationType.SUPPORTS, 0.75),
        (cause.id, keep.id, RelationType.CAUSES, 0.25),
        (twin.id, keep.id, RelationType.HISTORICAL_VERSION_OF, 1.0),
        (triplet.id, keep.id, RelationType.HISTORICAL_VERSION_OF, 1.0),
    }
    assert before["keep"] - relations_of(aspen, keep) == {(keep.id, belief.id, RelationType.SUPPORTS, 0.5)}
    assert before["triplet"] < relations_of(aspen, triplet)  # nothing is lost
    assert [memory.id for memory in aspen.history(keep.id)] == [twin.id, triplet.id, keep.id]
    hits = {hit.memory.source: hit for hit in aspen.recall("Who moved to Lisbon?").hits}
    assert hits["keep"].corrected_by is None
    assert hits["twin"].corrected_by == hits["triplet"].corrected_by == keep.id
    again = relations_of(aspen, keep)
    aspen.merge(keep.id, triplet.id)
    assert relations_of(aspen, keep) == again


def test_a_merge_is_undone_one_by_one(aspen: Aspen) -> None:
    memories = merged(aspen)
    keep, twin, triplet = list(memories.values())[:3]
    before = relations_of(aspen, triplet)
    aspen.merge(keep.id, twin.id, triplet.id)
    assert aspen.restore(triplet.id) == replace(triplet, version=triplet.version + 2)
    assert relations_of(aspen, triplet) == before
    assert [memory.id for memory in aspen.history(keep.id)] == [twin.id, keep.id]


def test_what_was_corrected_takes_its_history_along(aspen: Aspen) -> None:
    old = aspen.remember("one")
    newer, keep = aspen.correct(old.id, "two"), aspen.remember("2")
    aspen.merge(keep.id, newer.id)
    assert [memory.text for memory in aspen.history(old.id)] == ["one", "two", "2"]


def test_merges_that_cannot_be_are_refused(aspen: Aspen) -> None:
    old, other = aspen.remember("one"), aspen.remember("other")
    newer = aspen.correct(old.id, "two")
    revision = aspen.repository.revision()
    for keep, others, error in (
        (other, [old], AlreadyCorrected),  # it was corrected: what holds is to be merged
        (old, [other], AlreadyCorrected),
        (other, [], InvalidInput),
        (other, [other], InvalidInput),
    ):
        with pytest.raises(error):
            aspen.merge(keep.id, *(memory.id for memory in others))
    with pytest.raises(AlreadyCorrected, match="corrected already") as caught:
        aspen.merge(old.id, newer.id)
    assert newer.id in caught.value.hint
    for ids in (("m_nowhere", old.id), (other.id, "m_nowhere")):
        with pytest.raises(NotFound):
            aspen.merge(*ids)
    assert aspen.repository.revision() == revision


# What forgetting takes


def test_forgetting_is_told_before_it_is_done(open_aspen: Open, location: str) -> None:
    aspen = open_aspen(location, model=Telling())
    reply = aspen.chat("Hello")
    ids = {name: memory.id for name, memory in remembered(aspen).items()}
    aspen.relate(ids["spring"], ids["pattern"], "example_of")
    asked = reply.memories[0]
    aspen.relate(asked.id, ids["belief"], "supports")
    told = aspen.forgetting(asked.id, asked.id)
    assert (told.memories, told.summaries) == ((asked,), ())
    assert told.traces == (reply.trace_id,)
    assert told.relations == 2  # to the belief, and to the reply
    before = aspen.repository.stats()
    assert aspen.forget(asked.id) == len(told.traces)
    after = aspen.repository.stats()
    assert (before.memories - after.memories, before.edges - after.edges) == (1, told.relations)
    with pytest.raises(NotFound):
        aspen.forgetting(asked.id)


def test_forgetting_tells_of_the_patterns_made_of_it(aspen: Aspen) -> None:
    example = aspen.remember("An example")
    pattern = aspen.remember_many(
        [{"text": "A pattern", "provenance": "inferred", "type": "pattern", "tags": ["summary", "template"]}]
    )[0]
    aspen.relate_many([Relation(pattern.id, example.id, RelationType.SUMMARIZES)])
    told = aspen.forgetting(example.id)
    assert (told.memories, told.summaries, told.relations) == ((example,), (pattern,), 1)
    assert [memory.id for memory in aspen.forgetting(pattern.id).memories] == [pattern.id]
    aspen.forget(example.id)
    assert aspen.page().total == 0
