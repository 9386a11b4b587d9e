from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from tests.builders import FACTS, NOON, encoded, found, open_engine, query, remember

from aspen.activation_db import StoreFit
from aspen.engine import Engine
from aspen.errors import InvalidInput, ModelMismatch, NotFound, StoreNotWritable
from aspen.repository import Changes, InMemoryRepository, Repository
from aspen.resonance_search import ModelKeys, Query, ResonanceSearch, Unavailable
from aspen.resonance_search.search import key_space_name
from aspen.resonance_search.snapshot import Candidates
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, MemoryItem, Provenance

WHERE = "Where does my sister Mara live?"

Start = Callable[..., Engine]


@pytest.fixture
def start(cache_dir: Path) -> Start:
    """Another process on the same store, in all that matters to a search."""

    def start(repository: Repository, *, seed: int = 0) -> Engine:
        return open_engine(repository, cache_dir=cache_dir, model=FakeModel(seed=seed))

    return start


@pytest.fixture
def engine(start: Start) -> Engine:
    return start(InMemoryRepository())


def recall(
    engine: Engine,
    text: str = WHERE,
    *,
    limit: int = 10,
    conversation: str | None = None,
    spread: bool = True,
    arms: list[str] | None = None,
) -> list[str]:
    result = engine.search.search(
        query(engine, text), limit=limit, conversation=conversation, spread=spread, arms=arms
    )
    return found(engine, result)


def scores(engine: Engine, text: str = WHERE) -> dict[int, float]:
    result = engine.search.search(query(engine, text), limit=1000)
    return {int(result.seqs[ranked.row]): ranked.score for ranked in result.ranked}


def many(n: int, *, start: int = 0) -> list[MemoryItem]:
    return [
        MemoryItem(
            f"{FACTS[i % len(FACTS)]} For the {i}th time.",
            speaker="Ann",
            said_at=NOON + timedelta(minutes=i),
            conversation=f"c{i % 3}",
        )
        for i in range(start, start + n)
    ]


def fitted_on(repository: Repository) -> int:
    stamp = repository.stamp()
    body = repository.statistics(key_space_name(stamp)) if stamp is not None else None
    fit = StoreFit.from_bytes(body) if body is not None else None
    return fit.memories if fit else 0


# What is found


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
    remember(engine, [MemoryItem(turn, conversation="c") for turn in turns])
    (first, second, *_) = engine.search.search(
        query(engine, "Who moved to Lisbon?"), limit=4, arms=["keyword"]
    ).ranked
    assert (first.row, second.row) == (0, 1)
    assert second.parts["neighbours"] > 0
    assert second.paths[0].nodes == (0, 1)


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
        query(engine, "Who moved to Lisbon?"), limit=4, arms=["keyword"], exclude=[stored[0].seq]
    )
    assert stored[0].text not in found(engine, result)
    assert result.ranked[0].paths[0].nodes == (0, 1)


def test_memories_of_other_provenances_are_not_returned(engine: Engine) -> None:
    remember(engine, [MemoryItem(FACTS[0]), MemoryItem(FACTS[1], provenance=Provenance.GENERATED)])
    result = engine.search.search(query(engine, WHERE), limit=4, provenances=(Provenance.GENERATED,))
    assert found(engine, result) == [FACTS[1]]
    assert engine.search.search(query(engine, WHERE), limit=4, provenances=()).ranked == ()


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


@pytest.mark.parametrize("arms", [["telepathy"], ["keyword", "telepathy"], []])
def test_unknown_arms_and_none_at_all_are_refused_with_the_names_there_are(
    engine: Engine, arms: list[str]
) -> None:
    with pytest.raises(InvalidInput, match="activation, keyword"):
        recall(engine, arms=arms)


class Newest:
    """An arm of one's own: later memories score higher, or it has nothing to say."""

    name = "newest"
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
    assert search.arm_names == ("activation", "keyword", "heads", "newest", "subject", "traits")
    result = search.search(query(engine, WHERE), limit=5, spread=False, arms=["newest"])
    assert found(engine, result) == list(reversed(FACTS))
    spread = np.array([ranked.parts["newest"] for ranked in result.ranked])
    assert spread.std() == pytest.approx(3, rel=1e-4)
    assert search.search(query(engine, "old"), limit=5).arms[2].reason == "the prompt asks for what is old"


# Following the store


def test_what_another_process_writes_and_forgets_is_seen(start: Start) -> None:
    repository = InMemoryRepository()
    ours, theirs = start(repository), start(repository)
    assert recall(ours) == []
    (first, *_) = remember(theirs, FACTS[:2])
    assert set(recall(ours)) == set(FACTS[:2])
    remember(theirs, FACTS[2:])
    repository.forget([first.id])
    assert set(recall(ours)) == set(FACTS[1:])
    assert FACTS[0] not in recall(ours, FACTS[0])


def test_one_who_followed_the_store_finds_as_one_who_opens_it_now(start: Start) -> None:
    repository = InMemoryRepository()
    followed = start(repository)
    for part in range(5):
        added = remember(followed, many(11, start=11 * part))
        recall(followed)
        repository.forget([added[part].id, added[7].id])
        recall(followed)
    assert fitted_on(repository) > 0
    ours, fresh = scores(followed), scores(start(repository))
    assert ours.keys() == fresh.keys()
    assert len(ours) == 45
    for seq, score in fresh.items():
        assert ours[seq] == pytest.approx(score, abs=1e-3)


def test_the_whitening_is_fitted_once_kept_with_the_store_and_adopted(start: Start) -> None:
    repository = InMemoryRepository()
    ours, theirs = start(repository), start(repository)
    remember(ours, many(19))
    before = scores(ours), scores(theirs)
    assert before[0] == before[1]
    assert fitted_on(repository) == 0
    remember(ours, many(1, start=19))
    recall(ours)
    assert fitted_on(repository) == 20
    revision = repository.revision()
    assert scores(theirs) == scores(ours) == scores(start(repository))
    assert repository.revision() == revision


def test_a_store_that_grew_is_fitted_again(engine: Engine) -> None:
    for memories, expected in ((20, 20), (5, 20), (1, 26), (7, 26), (1, 34)):
        remember(engine, many(memories, start=len(scores(engine))))
        recall(engine)
        assert fitted_on(engine.repository) == expected


class ReadOnly(InMemoryRepository):
    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        raise StoreNotWritable("The store is read-only.")


def test_a_read_only_store_is_searched_with_a_fit_of_ones_own(start: Start) -> None:
    read_only, writable = start(ReadOnly()), start(InMemoryRepository())
    for engine in (read_only, writable):
        remember(engine, many(30))
    assert scores(read_only) == scores(writable)
    assert scores(read_only) == scores(writable)


class ForgetsMeanwhile(InMemoryRepository):
    """Another process forgets a memory while the first whitening is fitted."""

    victim: str | None = None

    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        if self.victim is not None:
            self.forget([self.victim])
            self.victim = None
        return super().save_statistics(name, body, as_of=as_of)


def test_what_is_forgotten_while_the_whitening_is_fitted_does_not_come_back(start: Start) -> None:
    repository = ForgetsMeanwhile()
    engine = start(repository)
    repository.victim = remember(engine, many(30))[0].id
    recall(engine)
    assert fitted_on(repository) == 0
    assert len(scores(engine)) == 29
    assert fitted_on(repository) == 29


def test_several_threads_may_search_and_write_at_once(engine: Engine) -> None:
    remember(engine, many(15))

    def work(number: int) -> int:
        if number % 3 == 0:
            remember(engine, many(2, start=100 + 2 * number))
        return len(recall(engine, limit=1000))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(12)))
    assert min(counts) >= 15
    assert len(recall(engine, limit=1000)) == 15 + 8


def test_keys_that_were_made_again_replace_the_old_ones(start: Start) -> None:
    repository = InMemoryRepository()
    engine = start(repository)
    stored = remember(engine, FACTS)
    recall(engine)
    # The second memory now has the key of the first: two processes that re-key at once may end like this.
    swapped = encoded(engine, FACTS[:1])[0].key
    repository.add_keys(engine.stamp, {stored[1].seq: swapped})
    remember(engine, ["One more."])
    assert len(recall(engine)) == len(FACTS) + 1
    assert scores(engine) == scores(start(repository))
    first, second = recall(engine, FACTS[0], arms=["activation"], spread=False, limit=2)
    assert {first, second} == {FACTS[0], FACTS[1]}


def test_a_store_put_back_from_a_backup_is_read_anew(start: Start) -> None:
    older, newer = InMemoryRepository(), InMemoryRepository()
    remember(start(older), FACTS[:1])
    engine = start(newer)
    for fact in FACTS:
        remember(engine, [fact])
    assert len(recall(engine)) == len(FACTS)
    vars(newer).update(vars(older))
    assert recall(engine) == [FACTS[0]]


# Other models


def test_keys_of_another_model_leave_the_activation_arm_out_and_say_so(start: Start) -> None:
    repository = InMemoryRepository()
    remember(start(repository, seed=0), FACTS)
    other = start(repository, seed=1)
    result = other.search.search(query(other, WHERE), limit=5)
    activation, keyword, *_ = result.arms
    assert keyword.ran
    assert not activation.ran
    assert "made by fake-0" in activation.reason
    assert "fake-1" in activation.reason
    assert "rekey" in activation.reason
    assert found(other, result)[0] == FACTS[0]
    assert recall(other, arms=["keyword"])[0] == FACTS[0]


def test_keys_of_another_model_raise_where_activations_were_asked_for(start: Start) -> None:
    repository = InMemoryRepository()
    remember(start(repository, seed=0), FACTS)
    with pytest.raises(ModelMismatch) as caught:
        recall(start(repository, seed=1), arms=["activation", "keyword"])
    assert set(caught.value.details) == {"stored", "current", "location"}


def test_another_model_may_not_add_to_a_store(start: Start) -> None:
    repository = InMemoryRepository()
    start(repository, seed=0).claim_store()
    with pytest.raises(ModelMismatch, match="fake-0"):
        start(repository, seed=1).claim_store()


def test_rekeying_hands_the_store_over_and_the_former_model_notices(start: Start) -> None:
    repository = InMemoryRepository()
    former, present = start(repository, seed=0), start(repository, seed=1)
    remember(former, many(200))
    recall(former)
    assert fitted_on(repository) == 200
    done: list[int] = []
    assert present.rekey(progress=done.append) == 200
    assert done == [128, 200]
    assert fitted_on(repository) == 0
    assert set(recall(present, arms=["activation"], limit=3)) <= {item.text for item in many(200)}
    assert fitted_on(repository) == 200
    with pytest.raises(ModelMismatch):
        recall(former, arms=["activation"])
    assert present.rekey() == 0
    alone = start(InMemoryRepository(), seed=1)
    remember(alone, many(200))
    assert scores(present) == scores(alone)


class Interrupted(InMemoryRepository):
    """Somebody else gets in between, just before changes are read for the n-th time from now."""

    meanwhile: Callable[[], object] | None = None
    reads_left = 0

    def changes(self, since: int) -> Changes:
        if self.meanwhile is not None and self.reads_left == 0:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self.reads_left -= 1
        return super().changes(since)


@pytest.mark.parametrize("reads", [0, 1])  # 1: while the whitening is fitted
def test_a_store_that_is_rekeyed_during_a_search_is_not_read_with_the_wrong_model(
    start: Start, reads: int
) -> None:
    repository = Interrupted()
    former, present = start(repository, seed=0), start(repository, seed=1)
    remember(former, many(5))
    recall(former)
    remember(former, many(30, start=5))
    rekeyed: list[int] = []
    repository.meanwhile, repository.reads_left = lambda: rekeyed.append(present.rekey()), reads
    recall(former)
    assert rekeyed == [35]
    with pytest.raises(ModelMismatch):
        recall(former, arms=["activation"])
    assert fitted_on(repository) == 0
    assert len(recall(present, limit=1000)) == 35
