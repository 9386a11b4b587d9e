"""What a search finds, and by which arms."""

from typing import ClassVar

import numpy as np
import pytest
from tests.builders import FACTS, NOON, found, query, remember
from tests.searching import WHERE, many, recall

from aspen.engine import Engine
from aspen.errors import InvalidInput, NotFound
from aspen.resonance_search import Filters, ModelKeys, Query, RankingSettings, ResonanceSearch, Unavailable
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray, MemoryItem, Provenance


def test_an_empty_store_answers_that_there_is_nothing(engine: Engine) -> None:
    result = engine.search.search(query(engine, WHERE), limit=5)
    assert result.ranked == ()
    assert len(result.seqs) == 0
    assert [report.name for report in result.arms] == ["activation", "keyword", "heads"]


def test_a_single_memory_is_found(engine: Engine) -> None:
    remember(engine, FACTS[:1])
    assert recall(engine) == [FACTS[0]]


@pytest.mark.parametrize("arm", ["activation", "keyword"])
def test_each_arm_finds_a_memory_by_its_own_words(engine: Engine, arm: str) -> None:
    remember(engine, FACTS)
    for fact in FACTS:
        assert recall(engine, fact, arms=[arm], spread=False)[0] == fact


def test_a_question_finds_what_shares_its_words(engine: Engine) -> None:
    remember(engine, FACTS)
    assert recall(engine, arms=["keyword"])[0] == FACTS[0]
    assert len(recall(engine)) == len(FACTS)
    assert len(recall(engine, limit=2)) == 2


def test_what_was_said_next_comes_along_by_spreading(engine: Engine) -> None:
    turns = ["Guess who moved to Lisbon?", "No idea!", "Mine is a cat.", "Rain all week."]
    stored = remember(engine, [MemoryItem(turn, conversation="c") for turn in turns])
    (first, second, *_) = engine.search.search(
        query(engine, "Who moved to Lisbon?"), limit=4, arms=["keyword"]
    ).ranked
    assert (first.row, second.row) == (0, 1)
    assert second.parts["neighbours"] > 0
    assert second.paths[0].nodes == (stored[0].seq, stored[1].seq)


def test_a_conversation_is_searched_alone_and_by_its_own_statistics(engine: Engine) -> None:
    remember(engine, many(9))
    for arms in (None, ["activation"], ["keyword"]):
        texts = recall(engine, "For what time?", conversation="c1", arms=arms)
        assert set(texts) == {item.text for item in many(9) if item.conversation == "c1"}
    with pytest.raises(NotFound, match="'elsewhere'"):
        recall(engine, conversation="elsewhere")


def test_what_is_excluded_is_not_returned_but_passes_activation_on(engine: Engine) -> None:
    turns = ["Guess who moved to Lisbon?", "No idea!", "Mine is a cat.", "Rain all week."]
    stored = remember(engine, [MemoryItem(turn, conversation="c") for turn in turns])
    result = engine.search.search(
        query(engine, "Who moved to Lisbon?"),
        limit=4,
        arms=["keyword"],
        filters=Filters(exclude=[stored[0].seq]),
    )
    assert stored[0].text not in found(engine, result)
    assert result.ranked[0].paths[0].nodes == (stored[0].seq, stored[1].seq)


def test_memories_of_other_provenances_are_not_returned(engine: Engine) -> None:
    remember(engine, [MemoryItem(FACTS[0]), MemoryItem(FACTS[1], provenance=Provenance.GENERATED)])
    result = engine.search.search(
        query(engine, WHERE), limit=4, filters=Filters(provenances=(Provenance.GENERATED,))
    )
    assert found(engine, result) == [FACTS[1]]
    assert engine.search.search(query(engine, WHERE), limit=4, filters=Filters(provenances=())).ranked == ()


def test_familiarity_is_a_probability_by_whatever_arms_run(engine: Engine) -> None:
    remember(engine, FACTS)
    for arms in (None, ["keyword"], ["activation"]):
        result = engine.search.search(query(engine, FACTS[2]), limit=5, arms=arms)
        felt = result.familiarity
        assert len(felt) == 5
        assert all(0 <= value <= 1 for value in felt.values())
        assert felt[2] == max(felt.values()) == pytest.approx(result.overall_familiarity)
        assert felt[2] > 0.9


def test_what_nobody_spoke_of_is_not_familiar(engine: Engine) -> None:
    remember(engine, FACTS)
    strange = engine.search.search(query(engine, "quantum chromodynamics"), limit=5, arms=["keyword"])
    assert strange.overall_familiarity < 0.1
    empty = engine.search.search(Query("of", None), limit=5)
    assert (empty.familiarity, empty.overall_familiarity) == ({}, 0)


# Arms


def test_an_arm_that_cannot_tell_says_why_and_the_others_go_on(engine: Engine) -> None:
    remember(engine, FACTS)
    no_pass, keyword, *_ = engine.search.search(Query(WHERE, None), limit=5).arms
    assert (no_pass.name, no_pass.ran) == ("activation", False)
    assert "no forward pass" in no_pass.reason
    assert (keyword.ran, keyword.reason) == (True, "")
    for text, reason in (("What is it?", "stop words"), ("Zanzibar", "no memory has a word")):
        result = engine.search.search(query(engine, text), limit=5)
        activation, keyword, *_ = result.arms
        assert activation.ran
        assert not keyword.ran
        assert reason in keyword.reason
        assert "keyword" not in result.ranked[0].parts


def test_where_no_arm_ran_nothing_is_found(engine: Engine) -> None:
    remember(engine, FACTS)
    result = engine.search.search(query(engine, "What is it?"), limit=5, arms=["keyword"])
    assert result.ranked == ()
    assert len(result.seqs) == len(FACTS)


@pytest.mark.parametrize(
    "arms", [["telepathy"], ["keyword", "telepathy"], [], ["dates"], ["subject", "traits"]]
)
def test_unknown_arms_and_none_at_all_are_refused_with_the_names_there_are(
    engine: Engine, arms: list[str]
) -> None:
    with pytest.raises(InvalidInput, match="activation, keyword"):
        recall(engine, arms=arms)


def test_priors_alone_are_refused_for_they_are_no_arms(engine: Engine) -> None:
    remember(engine, FACTS)
    with pytest.raises(InvalidInput, match="subject, dates, traits are priors"):
        recall(engine, "What came in May 2026?", arms=["dates"])


def test_a_prior_with_nothing_to_say_is_reported_where_it_was_asked_for_by_name(engine: Engine) -> None:
    remember(engine, [MemoryItem(fact, said_at=NOON) for fact in FACTS])
    named = engine.search.search(
        query(engine, "Who is it?"), limit=5, arms=["activation", "dates", "subject"]
    )
    activation, subject, dates = named.arms
    assert activation.ran
    assert (subject.name, subject.ran) == ("subject", False)
    assert "names nobody" in subject.reason
    assert (dates.name, dates.ran, dates.reason) == ("dates", False, "the prompt names no time")
    by_default = engine.search.search(query(engine, "Who is it?"), limit=5)
    assert {"dates", "subject"}.isdisjoint(report.name for report in by_default.arms)


def test_settings_of_the_ranking_count_for_one_search_alone(engine: Engine) -> None:
    turns = ["Guess who moved to Lisbon?", "No idea!", "Mine is a cat.", "Rain all week."]
    remember(engine, [MemoryItem(turn, conversation="c") for turn in turns])
    asked = query(engine, "Who moved to Lisbon?")
    before = engine.search.search(asked, limit=4)
    without = engine.search.search(asked, limit=4, settings=RankingSettings(hops=0))
    assert any(hit.parts["neighbours"] > 0 for hit in before.ranked)
    assert not any(hit.parts["neighbours"] for hit in without.ranked)
    assert engine.search.search(asked, limit=4).ranked == before.ranked


class Newest:
    """An arm of one's own: later memories score higher, or it has nothing to say."""

    name = "newest"
    unit = "seq"
    weight = 3.0
    asked: ClassVar[list[str]] = []

    def score(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        if "old" in query.text:
            return Unavailable("the prompt asks for what is old")
        return candidates.seqs.astype(np.float32)


def test_an_arm_of_ones_own_runs_beside_the_others_with_its_weight(engine: Engine) -> None:
    remember(engine, FACTS)
    search = ResonanceSearch(
        engine.repository,
        keys=ModelKeys(engine.stamp, engine.encoder._recipe, engine.encoder._calibration),
        extra_arms=[Newest()],
    )
    assert search.arm_names == ("activation", "keyword", "heads", "newest", "subject", "dates", "traits")
    result = search.search(query(engine, WHERE), limit=5, spread=False, arms=["newest"])
    assert found(engine, result) == list(reversed(FACTS))
    spread = np.array([ranked.parts["newest"] for ranked in result.ranked])
    assert spread.std() == pytest.approx(3, rel=1e-4)
    assert search.search(query(engine, "old"), limit=5).arms[2].reason == "the prompt asks for what is old"
