"""A search sees what was written, forgotten and put back meanwhile, and fits its whitening on it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.builders import FACTS, encoded, found, query, remember
from tests.searching import Start, fitted_on, many, recall, scores

from aspen.activation_db import KeyIndex
from aspen.engine import Engine
from aspen.errors import StoreNotWritable
from aspen.repository import Changes, InMemoryRepository
from aspen.resonance_search.familiarity import StoredKeys
from aspen.resonance_search.snapshot import Snapshot
from aspen.types import MemoryItem


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


class Asked(InMemoryRepository):
    """Notes since when changes were asked for."""

    since: list[int]

    def changes(self, since: int) -> Changes:
        self.since.append(since)
        return super().changes(since)


def test_for_an_amended_memory_nothing_else_is_read_again(start: Start) -> None:
    repository = Asked()
    repository.since = []
    engine = start(repository)
    stored = remember(engine, many(30))
    recall(engine)
    repository.since.clear()
    repository.amend(stored[3].id, {"importance": 1.0, "type": "belief", "tags": ("seen",)})
    ours = scores(engine)
    (since,) = repository.since
    assert since > 0
    assert ours == pytest.approx(scores(start(repository)), abs=1e-6)


def test_a_forgotten_memory_makes_the_store_read_once_more_and_the_whitening_fitted_with_it(
    start: Start,
) -> None:
    repository = Asked()
    repository.since = []
    engine = start(repository)
    stored = remember(engine, many(30))
    recall(engine)
    repository.since.clear()
    repository.forget([stored[3].id])
    recall(engine)
    known, everything = repository.since
    assert known > everything == 0
    assert fitted_on(repository) == 29


def test_a_store_put_back_from_a_backup_is_read_anew(start: Start) -> None:
    older, newer = InMemoryRepository(), InMemoryRepository()
    remember(start(older), FACTS[:1])
    engine = start(newer)
    for fact in FACTS:
        remember(engine, [fact])
    assert len(recall(engine)) == len(FACTS)
    vars(newer).update(vars(older))
    assert recall(engine) == [FACTS[0]]


def test_turns_around_a_forgotten_one_stand_beside_each_other(engine: Engine) -> None:
    turns = ["Guess who moved to Lisbon?", "No idea!", "Mine is a cat."]
    stored = remember(engine, [MemoryItem(turn, conversation="c") for turn in turns])
    recall(engine)
    engine.repository.forget([stored[1].id])
    result = engine.search.search(query(engine, "Who moved to Lisbon?"), limit=2, arms=["keyword"])
    assert found(engine, result) == [turns[0], turns[2]]
    assert [path.nodes for path in result.ranked[1].paths] == [(stored[0].seq, stored[2].seq)]


FOLLOWING = [
    (InMemoryRepository, "changes"),
    (Snapshot, "_apply_edges"),
    (KeyIndex, "append"),
    (StoredKeys, "append"),
]
FITTING = [(InMemoryRepository, "statistics"), (InMemoryRepository, "save_statistics")]


@pytest.mark.parametrize(
    ("known", "added", "part", "step"),
    [
        (known, added, *where)
        for known, added, steps in (
            (0, 30, FOLLOWING + FITTING),
            (15, 30, FOLLOWING + FITTING),
            (20, 2, FOLLOWING),
        )
        for where in steps
    ],
)
def test_a_search_that_is_interrupted_anywhere_leaves_nothing_half_done(
    start: Start, monkeypatch: pytest.MonkeyPatch, known: int, added: int, part: type, step: str
) -> None:
    def interrupt(*of: object, **given: object) -> None:
        raise KeyboardInterrupt

    repository = InMemoryRepository()
    engine = start(repository)
    if known:
        remember(engine, many(known))
        recall(engine)
    remember(engine, many(added, start=known))
    with monkeypatch.context() as patched:
        patched.setattr(part, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            recall(engine)
    ours, fresh = scores(engine), scores(start(repository))
    assert len(ours) == known + added
    assert ours == pytest.approx(fresh, abs=1e-3)
    assert fitted_on(repository) == (known if added == 2 else known + added)
