from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.memory_agent.agent_worlds import QUESTION, World, call

from aspen.memory_agent import Evidence, ToolRuntime
from aspen.memory_agent.evidence import evidence_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def evidence(world: World, runtime: ToolRuntime, *, limit: int = 5) -> tuple[Evidence, ...]:
    return evidence_of(runtime.findings, repository=world.aspen.repository, limit=limit, now=NOW)


def names(world: World, found: Sequence[Evidence]) -> list[str]:
    return [world.name(one.memory.id) for one in found]


def searched(world: World, **options: Any) -> ToolRuntime:
    runtime = world.runtime(**options)
    runtime.call(call("search_memories", query=QUESTION, limit=20))
    return runtime


def test_without_spreading_evidence_is_what_the_search_found_in_its_order(world: World) -> None:
    runtime = searched(world)
    hits = world.aspen.recall(QUESTION, limit=4, use_spreading_activation=False).hits
    found = evidence(world, runtime, limit=4)
    assert [one.memory.id for one in found] == [hit.memory.id for hit in hits]
    assert [one.seed_score for one in found] == pytest.approx([hit.seed_score for hit in hits])
    assert all(one.activation == 0 and one.paths == () for one in found)
    assert all(0 <= one.priority <= 1 for one in found)


def test_what_relations_bring_is_added_and_told(world: World) -> None:
    runtime = searched(world)
    seeds = list(runtime.findings.seed_scores())
    runtime.call(call("spread_activation", seed_ids=seeds))
    found = {world.name(one.memory.id): one for one in evidence(world, runtime, limit=12)}
    spread = world.aspen.spread_activation(runtime.findings.seed_scores(), top_k=100)
    for reached in spread.memories:
        one = found[world.name(reached.memory.id)]
        assert one.activation == pytest.approx(reached.activation - reached.seed)
        unlike = min(one.activation, max(-one.seed_score, 0.0))
        assert one.score == pytest.approx(one.seed_score + one.activation + unlike)
    belief = found["belief"]
    assert belief.type_boost == 1.75
    assert sum(path.contribution for path in belief.paths) <= belief.activation * (1 + 1e-9)
    assert all(path.memories[-1] == belief.memory.id and path.relations for path in belief.paths)


@pytest.mark.parametrize("preset", ["balanced", "character", "factual"])
def test_reading_all_relations_gives_the_activation_that_spreading_gives(world: World, preset: str) -> None:
    by_tool, by_reading = searched(world, preset=preset), searched(world, preset=preset)
    by_tool.call(call("spread_activation", seed_ids=list(by_tool.findings.seed_scores())))
    by_reading.call(call("get_memories", ids=list(world.ids.values())))
    one, other = (
        {item.memory.id: item for item in evidence(world, runtime, limit=12)}
        for runtime in (by_tool, by_reading)
    )
    assert one.keys() == other.keys()
    assert any(item.activation for item in one.values())
    for id_, item in one.items():
        assert other[id_].activation == pytest.approx(
            item.activation
        )  # priority moved a little between the searches
        assert other[id_].score == pytest.approx(item.score)
        assert other[id_].type_boost == item.type_boost
        assert [path.relations for path in other[id_].paths] == [path.relations for path in item.paths]


def test_only_memories_whose_text_was_read_are_evidence(world: World) -> None:
    runtime = world.runtime()
    runtime.call(call("search_memories", query=QUESTION, limit=2))
    runtime.call(call("get_memories", ids=["1", "2"]))
    assert world.ids["pattern"] in runtime.findings.memories
    assert "pattern" not in names(world, evidence(world, runtime))
    runtime.call(call("get_memories", ids=[world.ids["pattern"]]))
    found = {world.name(one.memory.id): one for one in evidence(world, runtime)}
    assert found["pattern"].activation > 0
    assert "belief" not in found


def test_half_of_the_places_stay_with_the_best_direct_hits(world: World) -> None:
    ids = world.ids
    for name in ("belief", "self", "pattern", "cat", "boiler", "lisbon"):
        world.aspen.relate(ids["spring"], ids[name], "causes", weight=1.0)
        world.aspen.relate(ids["podcast"], ids[name], "causes", weight=1.0)
    runtime = searched(world)
    direct = list(runtime.findings.seed_scores())
    runtime.call(call("spread_activation", seed_ids=direct[:2]))
    everything = evidence(world, runtime, limit=12)
    for limit in range(1, 6):
        found = evidence(world, runtime, limit=limit)
        assert len(found) == limit
        assert {one.memory.id for one in found} >= set(direct[: (limit + 1) // 2])
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert {one.memory.id for one in everything[:3]} != set(direct[:3])  # the quota had something to do


def test_relations_bring_no_more_than_the_best_direct_hit_has(world: World) -> None:
    runtime = searched(world)
    seeds = list(runtime.findings.seed_scores())
    for id_ in {*seeds} - {world.ids["belief"]}:
        world.aspen.relate(id_, world.ids["belief"], "supports", weight=1.0)
    runtime.call(call("spread_activation", seed_ids=seeds))
    best = max(runtime.findings.seed_scores().values())
    assert runtime.findings.arrivals()[world.ids["belief"]].value > best
    found = {world.name(one.memory.id): one for one in evidence(world, runtime, limit=12)}
    assert found["belief"].activation == pytest.approx(best)
    assert 0 < sum(path.contribution for path in found["belief"].paths) <= best * (1 + 1e-9)
    assert all(one.activation <= best for one in found.values())


def test_of_equal_texts_of_one_speaker_one_stands_for_all(world: World) -> None:
    text = world.aspen.repository.get([world.ids["spring"]])[0].text
    world.aspen.remember(text.upper(), speaker="Runa", source="again")
    world.aspen.remember(text, speaker="Ann", source="another")
    told = [one.memory for one in evidence(world, searched(world), limit=12)]
    assert sorted(one.speaker or "" for one in told if one.text.casefold() == text.casefold()) == [
        "Ann",
        "Runa",
    ]


def test_what_was_corrected_gives_its_place_to_what_holds_now(world: World) -> None:
    newer = world.aspen.correct(world.ids["spring"], "It was the flu, says another doctor.")
    newest = world.aspen.correct(newer.id, "It was neither, says the third one.")
    doctor = "What did the doctor write on the form?"
    runtime = world.runtime(question=doctor)
    runtime.call(call("search_memories", query=doctor, limit=1))
    (one,) = evidence(world, runtime)
    assert one.memory.id == newest.id
    assert one.score > 0
    again = searched(world)
    assert world.ids["spring"] not in again.findings.seed_scores()
    told = [item.memory.id for item in evidence(world, again, limit=20)]
    assert newest.id in told
    assert {newer.id, world.ids["spring"]}.isdisjoint(told)
    assert len(told) == len(set(told))


def test_what_lies_below_the_mean_is_no_evidence_unless_there_is_nothing_else(world: World) -> None:
    runtime = searched(world)
    found = evidence(world, runtime, limit=20)
    assert 0 < len(found) < len(runtime.findings.hits)
    assert all(one.score > 0 for one in found)
    world.aspen.forget(*(id_ for name, id_ in world.ids.items() if name != "cat"))
    assert names(world, evidence(world, searched(world))) == ["cat"]


def test_corrections_in_a_circle_come_to_an_end(world: World) -> None:
    ids = world.ids
    world.aspen.relate(ids["spring"], ids["podcast"], "historical_version_of")
    world.aspen.relate(ids["podcast"], ids["spring"], "historical_version_of")
    assert evidence(world, searched(world))


def test_what_several_calls_bring_counts_once(world: World) -> None:
    runtime = searched(world)
    runtime.call(call("spread_activation", seed_ids=[world.ids["spring"]]))
    before = evidence(world, runtime)
    runtime.call(call("spread_activation", seed_ids=[world.ids["spring"]], top_k=20))
    runtime.call(call("search_memories", query="burnout form"))
    after = {one.memory.id: one for one in evidence(world, runtime, limit=12)}
    for one in before:
        assert after[one.memory.id].activation == one.activation
        assert after[one.memory.id].seed_score >= one.seed_score


def test_a_search_for_something_else_counts_as_far_as_it_is_about_the_question(world: World) -> None:
    blue = world.runtime()
    blue.call(call("search_memories", query="our cat Biscuit"))
    assert evidence(world, blue) == ()
    assert not blue.findings.asked
    about = searched(world)
    before = about.findings.hits[world.ids["boiler"]].seed_score
    about.call(
        call("search_memories", query="boiler noise rains burnout")
    )  # found texts have all of these words
    (boiler,) = (hit for hit in about.findings.hits.values() if hit.memory.id == world.ids["boiler"])
    alone = world.aspen.recall("boiler noise rains burnout", use_spreading_activation=False).hits[0]
    assert alone.memory.id == boiler.memory.id
    assert before < boiler.seed_score == pytest.approx(0.6 * alone.seed_score)


def test_nothing_found_is_no_evidence(world: World) -> None:
    assert evidence(world, world.runtime()) == ()
