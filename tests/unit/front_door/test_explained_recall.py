"""What `recall(explain=True)` tells: everything adds up to the scores, and nothing else changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.builders import NOON
from tests.front_door import WHAT, WHERE, Open, facts, related

from aspen import Aspen, Config, MemoryItem
from aspen.errors import InvalidInput
from aspen.memory_graph import SpreadingSettings, preset_settings
from aspen.testing.fake_model import FakeModel
from aspen.types import FusedCandidate, Hit, MemoryType, Recall, RecallFrame, RelationType

_WORDS = (
    "sister",
    "moved",
    "Lisbon",
    "boiler",
    "rain",
    "exhibition",
    "spring",
    "garden",
    "letter",
    "Mara",
    "Porto",
)
_TELLS = 1e-4  # parts of a score are float32


def by_id(recall: Recall) -> dict[str, FusedCandidate]:
    assert recall.explanation is not None
    return {one.memory_id: one for one in recall.explanation.fused}


def world(seed: int, aspen: Aspen) -> str:
    """A small store with everything that adds to a score, drawn; returns a prompt for it."""
    random = Random(seed)
    items = [
        MemoryItem(
            " ".join(random.choices(_WORDS, k=random.choice([3, 6, 200]))) + random.choice([".", "?"]),
            speaker=random.choice(["Ann", "Mara", None]),
            said_at=random.choice([NOON + timedelta(minutes=n), None]),
            conversation=random.choice(["a", "a", "b", None]),
            source=str(n),
            type=random.choice(list(MemoryType)),
            importance=random.random(),
        )
        for n in range(random.choice([3, 12, 30]))
    ]
    ids = [memory.id for memory in aspen.remember_many(items)]
    kinds = [kind for kind in RelationType if kind is not RelationType.HISTORICAL_VERSION_OF]
    for _ in range(random.choice([0, 10, 60])):
        source, target = random.sample(ids, 2)
        aspen.relate(source, target, random.choice(kinds), weight=random.random())
    if random.random() < 0.3:
        aspen.correct(random.choice(ids), "The garden moved to Porto.")
    return f"Where {' '.join(random.choices(_WORDS, k=3))} Mara?"


@given(
    seed=st.integers(0, 2**32),
    hops=st.integers(0, 3),
    decay=st.floats(0.1, 1),
    boost=st.floats(1, 10),
    limit=st.sampled_from([1, 3, 40]),
    arms=st.sampled_from([None, ["keyword"], ["activation", "subject", "traits"]]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_told_adds_up_to_the_scores(
    config: Config, seed: int, hops: int, decay: float, boost: float, limit: int, arms: list[str] | None
) -> None:
    spreading = SpreadingSettings(max_hops=hops, decay=decay, type_boost={"self": boost, "episodic": boost})
    with Aspen.open(":memory:", model=FakeModel(), config=config) as aspen:
        prompt = world(seed, aspen)
        recall = aspen.recall(prompt, limit=limit, spreading=spreading, arms=arms, explain=True)
    told, explanation = by_id(recall), recall.explanation
    assert explanation is not None
    assert {hit.memory.id for hit in recall.hits} <= told.keys() <= explanation.memories.keys()
    for place, hit in enumerate(recall.hits, start=1):
        one = told[hit.memory.id]
        assert one.place == place
        assert {**one.parts, **one.added} == pytest.approx(dict(hit.arms), abs=_TELLS)
        assert one.score == pytest.approx(hit.seed_score, abs=_TELLS)
        assert one.final == pytest.approx(hit.score, abs=_TELLS)
        assert one.arrived["relations"] == pytest.approx(hit.activation, abs=_TELLS)

    z = {
        name: {one.memory_id: explanation.weights[name] * one.z for one in candidates}
        for name, candidates in explanation.arms.items()
    }
    for candidates in explanation.arms.values():
        assert [one.rank for one in candidates] == sorted(one.rank for one in candidates)
        assert [one.raw for one in candidates] == sorted((one.raw for one in candidates), reverse=True)
        assert {one.memory_id for one in candidates} == told.keys()

    came: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for frame in explanation.frames[1:]:
        into: dict[str, float] = defaultdict(float)
        for edge in frame.edges:
            kind = {"turn": "turns", "name": "names"}.get(edge.relation, "relations")
            came[edge.target][kind] += edge.carried
            into[edge.target] += edge.carried
            assert edge.carried > 0
        assert into.keys() == frame.activation.keys()
        for id_, arrived in frame.activation.items():
            assert arrived >= into[id_] - _TELLS
            assert id_ not in told or arrived == pytest.approx(into[id_], abs=_TELLS)
    if explanation.frames:
        assert {edge.source for edge in explanation.frames[1].edges} == explanation.frames[
            0
        ].activation.keys()

    for id_, one in told.items():
        assert {name: one.parts[name] for name in z} == pytest.approx(
            {name: of[id_] for name, of in z.items()}, abs=_TELLS
        )
        assert sum(one.parts.values()) == pytest.approx(one.score, abs=_TELLS)
        assert one.score + sum(one.added.values()) == pytest.approx(one.final, abs=_TELLS)
        assert {kind: came[id_][kind] for kind in one.arrived} == pytest.approx(dict(one.arrived), abs=_TELLS)
        turns = one.takes_in * one.arrived["turns"]
        over_names = one.arrived["names"] > turns
        assert one.added.get("neighbours", 0.0) == pytest.approx(0.0 if over_names else turns, abs=_TELLS)
        assert one.added.get("names", 0.0) == pytest.approx(
            one.arrived["names"] if over_names else 0.0, abs=_TELLS
        )
        arrived = one.arrived["relations"]
        assert one.added.get("relations", 0.0) == pytest.approx(
            arrived + min(arrived, max(0.0, -one.score)), abs=2 * _TELLS
        )
        assert -_TELLS <= one.boosted <= one.added.get("relations", 0.0) + _TELLS


def test_explaining_changes_nothing_else(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:")
    related(aspen)
    plain, told = (aspen.recall(WHAT, asked_at=NOON, explain=explain) for explain in (False, True))
    assert plain.explanation is None
    assert told.explanation is not None
    assert told.hits == plain.hits
    assert (told.familiarity, told.candidates) == (plain.familiarity, plain.candidates)


@pytest.mark.parametrize("seed", range(6))
def test_postgres_explains_as_sqlite_does(
    open_aspen: Open, new_postgres_url: Callable[[], str], tmp_path: Path, seed: int
) -> None:
    sqlite, postgres = open_aspen(tmp_path / "store.db"), open_aspen(new_postgres_url())
    prompts = {world(seed, aspen) for aspen in (sqlite, postgres)}
    (prompt,) = prompts
    spreading = SpreadingSettings(max_hops=3, decay=0.7, type_boost={"self": 2.0})
    for options in ({}, {"spreading": spreading, "limit": 40}):
        asked: dict[str, Any] = {"asked_at": NOON, "explain": True, **options}
        ours, theirs = (aspen.recall(prompt, **asked) for aspen in (sqlite, postgres))
        assert ours.explanation is not None
        assert theirs.explanation is not None
        assert [hit.memory.id for hit in theirs.hits] == [hit.memory.id for hit in ours.hits]
        for hit, other in zip(ours.hits, theirs.hits, strict=True):
            assert told(other) == pytest.approx(told(hit))
        assert theirs.explanation.arms.keys() == ours.explanation.arms.keys()
        for name, candidates in ours.explanation.arms.items():
            assert [one.memory_id for one in theirs.explanation.arms[name]] == [
                one.memory_id for one in candidates
            ]
        assert [one.memory_id for one in theirs.explanation.fused] == [
            one.memory_id for one in ours.explanation.fused
        ]
        assert len(theirs.explanation.frames) == len(ours.explanation.frames)
        for mine, frame in zip(ours.explanation.frames, theirs.explanation.frames, strict=True):
            assert dict(frame.activation) == pytest.approx(dict(mine.activation))
            assert carried(frame) == pytest.approx(carried(mine))


def told(hit: Hit) -> list[float]:
    return [hit.score, hit.activation, hit.priority]


def carried(frame: RecallFrame) -> dict[tuple[str, str, str], float]:
    return {(edge.source, edge.target, edge.relation): edge.carried for edge in frame.edges}


def test_frames_tell_the_edges_hop_by_hop(aspen: Aspen) -> None:
    ids = related(aspen)
    recall = aspen.recall(WHAT, explain=True)
    assert recall.explanation is not None
    start, first, second = recall.explanation.frames
    begin = start.activation[ids["spring"]]
    assert begin == pytest.approx(by_id(recall)[ids["spring"]].score, abs=_TELLS)
    assert start.edges == ()
    edges = {(edge.source, edge.target): edge for edge in first.edges}
    to_pattern = edges[ids["spring"], ids["pattern"]]
    (to_belief,) = second.edges
    assert (to_pattern.relation, to_pattern.weight) == ("example_of", 0.9)
    assert (to_belief.relation, to_belief.weight) == ("supports", 0.8)
    assert (to_belief.source, to_belief.target) == (ids["pattern"], ids["belief"])
    assert to_pattern.carried == pytest.approx(begin * 0.9 * 1.35 * 0.6)
    assert to_belief.carried == pytest.approx(to_pattern.carried * 0.8 * 1.75 * 0.6)
    assert first.activation[ids["pattern"]] == to_pattern.carried


def test_turns_that_stand_beside_a_hit_are_told_as_edges(aspen: Aspen) -> None:
    facts(aspen)
    recall = aspen.recall(WHERE, explain=True)
    assert recall.explanation is not None
    edges = {edge for frame in recall.explanation.frames for edge in frame.edges}
    assert {edge.relation for edge in edges} == {"turn"}
    for hit in recall.hits:
        for path in hit.paths:
            steps = set(zip(path.memories, path.memories[1:], strict=False))
            assert steps <= {(edge.source, edge.target) for edge in edges}


def test_without_spreading_there_are_no_frames(aspen: Aspen) -> None:
    related(aspen)
    recall = aspen.recall(WHAT, use_spreading_activation=False, explain=True)
    assert recall.explanation is not None
    assert recall.explanation.frames == ()
    assert all(not one.added for one in recall.explanation.fused)


def test_an_empty_store_has_nothing_to_explain(aspen: Aspen) -> None:
    recall = aspen.recall(WHERE, explain=True)
    assert recall.explanation is not None
    assert (recall.explanation.fused, recall.explanation.frames) == ((), ())


def test_memories_that_may_not_be_returned_are_no_candidates_but_pass_activation_on(aspen: Aspen) -> None:
    ids = related(aspen)
    recall = aspen.recall(WHAT, types=[MemoryType.BELIEF], explain=True)
    assert recall.explanation is not None
    assert by_id(recall).keys() == {ids["belief"]}
    assert recall.explanation.arms["keyword"][0].rank == 1
    edges = {(edge.source, edge.target) for frame in recall.explanation.frames[1:] for edge in frame.edges}
    assert edges == {(ids["spring"], ids["pattern"]), (ids["pattern"], ids["belief"])}


def test_settings_of_ones_own_take_the_place_of_a_preset(aspen: Aspen) -> None:
    ids = related(aspen)

    def activation(**how: Any) -> float:
        hits = {hit.memory.id: hit for hit in aspen.recall(WHAT, limit=20, **how).hits}
        return hits[ids["pattern"]].activation

    assert activation(spreading=preset_settings("character")) == pytest.approx(activation(preset="character"))
    assert activation(spreading=SpreadingSettings(max_hops=0)) == 0
    plain = activation(spreading=SpreadingSettings(max_hops=1, type_boost={}))
    half = activation(spreading=SpreadingSettings(max_hops=1, decay=0.3, type_boost={}))
    assert half == pytest.approx(plain / 2)
    assert activation(spreading=SpreadingSettings(max_hops=1)) == pytest.approx(1.35 * plain)


def test_relations_that_do_not_lead_on_carry_only_where_they_are_named(aspen: Aspen) -> None:
    ids = related(aspen)
    aspen.relate(ids["spring"], ids["other 3"], "next", weight=1.0)

    def activation(spreading: SpreadingSettings) -> float:
        hits = {hit.memory.id: hit for hit in aspen.recall(WHAT, limit=20, spreading=spreading).hits}
        return hits[ids["other 3"]].activation

    assert activation(SpreadingSettings()) == 0
    assert activation(SpreadingSettings(relation_types=frozenset({"next"}))) > 0


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"spreading": SpreadingSettings(), "preset": "factual"}, "not both"),
        ({"spreading": {"decay": 0.5}}, "spreading"),
        ({"spreading": SpreadingSettings(type_boost={"opinion": 2.0})}, "opinion"),
        ({"spreading": SpreadingSettings(relation_types=frozenset({"likes"}))}, "likes"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(aspen: Aspen, how: dict[str, Any], problem: str) -> None:
    related(aspen)
    with pytest.raises(InvalidInput, match=problem):
        aspen.recall(WHAT, **how)


def test_re_ranking_is_told_too(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    related(aspen)

    class Lifting:
        """Turns the order around, as a re-ranker does."""

        def rerank(self, prompt: str, result: Any, *, texts: Any) -> Any:
            hits = [
                replace(hit, score=-hit.score, parts={**hit.parts, "rerank": -2 * hit.score})
                for hit in reversed(result.ranked)
            ]
            return replace(result, ranked=tuple(hits))

    monkeypatch.setattr(type(aspen), "reranker", Lifting())
    recall = aspen.recall(WHAT, rerank=True, limit=3, explain=True)
    for place, hit in enumerate(recall.hits, start=1):
        one = by_id(recall)[hit.memory.id]
        assert one.place == place
        assert one.final == pytest.approx(hit.score, abs=_TELLS)
        assert one.added["rerank"] == pytest.approx(hit.arms["rerank"])
