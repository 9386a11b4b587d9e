"""Stores whose keys another model made, and re-keying."""

from collections.abc import Callable

import pytest
from tests.builders import FACTS, found, query, remember
from tests.searching import WHERE, Start, fitted_on, many, recall, scores

from aspen.errors import ModelMismatch
from aspen.repository import Changes, InMemoryRepository
from aspen.testing.repository_builders import traits_of


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
    assert set(caught.value.details) == {"stored", "current", "location", "closeness"}


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


def test_an_interrupted_rekeying_changes_nothing_that_can_be_seen_and_goes_on(start: Start) -> None:
    repository = InMemoryRepository()
    former, present = start(repository, seed=0), start(repository, seed=1)
    remember(former, many(200))

    def seen() -> object:
        return traits_of(repository.changes(0).traits), scores(former)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    before = seen()
    with pytest.raises(KeyboardInterrupt):
        present.rekey(progress=interrupt)
    assert seen() == before
    assert present.rekey() == 200 - 128
    alone = InMemoryRepository()
    remember(start(alone, seed=1), many(200))
    assert repository.changes(0).traits.names == alone.changes(0).traits.names


class Counting(InMemoryRepository):
    """Counts how often it is read for changes."""

    reads = 0

    def changes(self, since: int) -> Changes:
        self.reads += 1
        return super().changes(since)


def test_a_store_of_another_model_is_read_once_and_then_followed(start: Start) -> None:
    repository = Counting()
    remember(start(repository, seed=0), FACTS[:3])
    other = start(repository, seed=1)
    assert len(recall(other)) == 3
    repository.reads = 0
    assert len(recall(other)) == 3
    assert repository.reads == 0
    remember(start(repository, seed=0), FACTS[3:])
    assert len(recall(other)) == len(FACTS)
    other.rekey()
    assert len(recall(other, arms=["activation"])) == len(FACTS)
