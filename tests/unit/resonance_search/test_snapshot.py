from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import NOON

from aspen.errors import NotFound
from aspen.repository import NEXT, InMemoryRepository, KeyStamp, NewMemory, Repository
from aspen.resonance_search.snapshot import Candidates, Snapshot
from aspen.types import Edge, MemoryItem

STAMP = KeyStamp("weights-tokenizer", "a model", "1")


def new(
    name: str, *, conversation: str | None = "c", said_at: datetime | None = None, words: int = 2
) -> NewMemory:
    item = MemoryItem(f"text of {name}", said_at=said_at, conversation=conversation)
    traits = {"novel": 0.5} if name.endswith("1") else {}
    return NewMemory(name, item, NOON, 5 + words, ("word",) * words, name.encode().ljust(8), traits=traits)


def store(*memories: NewMemory) -> Repository:
    repository = InMemoryRepository()
    repository.set_stamp(STAMP)
    repository.add(memories)
    return repository


def snapshot_of(repository: Repository) -> Snapshot:
    snapshot = Snapshot()
    snapshot.apply(repository.changes(0))
    return snapshot


def after(*hours: float | None) -> list[NewMemory]:
    """Turns of one conversation, so many hours after the first each; None has no time."""
    times = [None if hour is None else NOON + timedelta(hours=hour) for hour in hours]
    return [new(f"m{number}", said_at=time) for number, time in enumerate(times)]


def grouped(sessions: Iterable[int]) -> list[int]:
    """Session numbers by first occurrence: which memories are together, whatever the numbers."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(session, len(numbers)) for session in sessions]


def described(candidates: Candidates) -> tuple[object, ...]:
    graph = candidates.time_graph
    return (
        candidates.seqs.tolist(),
        candidates.provenances.tolist(),
        candidates.token_counts.tolist(),
        candidates.term_counts.tolist(),
        grouped(candidates.sessions.tolist()),
        list(candidates.tags),
        {name: column.tolist() for name, column in candidates.traits.items() if column.any()},
        [getattr(candidates.priority, one.name).tolist() for one in fields(candidates.priority)],
        list(zip(graph.sources.tolist(), graph.targets.tolist(), graph.weights.tolist(), strict=True)),
    )


def test_columns_are_those_of_the_store() -> None:
    candidates = snapshot_of(store(new("a", words=3), new("b", conversation=None))).candidates(None)
    assert candidates.rows is None
    assert candidates.seqs.tolist() == [1, 2]
    assert candidates.term_counts.tolist() == [3, 2]
    assert candidates.token_counts.tolist() == [8, 7]
    assert candidates.provenances.tolist() == ["said", "said"]


def test_an_empty_store_has_no_candidates() -> None:
    candidates = snapshot_of(InMemoryRepository()).candidates(None)
    assert len(candidates.seqs) == len(candidates.sessions) == candidates.time_graph.n_nodes == 0


def test_turns_that_follow_each_other_are_linked_both_ways() -> None:
    memories = (new("a"), new("x", conversation="d"), new("b"), new("alone", conversation=None), new("c"))
    graph = snapshot_of(store(*memories)).candidates(None).time_graph
    edges = set(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True))
    assert edges == {(0, 2), (2, 0), (2, 4), (4, 2)}
    assert graph.weights.tolist() == [1.0] * 4


def test_a_conversation_is_its_own_memories_their_rows_and_the_edges_between_them() -> None:
    repository = store(new("a"), new("x", conversation="d"), new("b"))
    repository.relate([Edge(1, 2, NEXT, 0.5)])  # crosses into the other conversation
    candidates = snapshot_of(repository).candidates("c")
    assert candidates.rows is not None
    assert candidates.rows.tolist() == [0, 2]
    assert candidates.seqs.tolist() == [1, 3]
    assert candidates.time_graph.sources.tolist() == [0, 1]
    with pytest.raises(NotFound, match="'nowhere'"):
        snapshot_of(repository).candidates("nowhere")


def test_a_conversation_that_was_forgotten_is_not_found() -> None:
    repository = store(new("a"), new("x", conversation="d"))
    repository.forget(["x"])
    with pytest.raises(NotFound):
        snapshot_of(repository).candidates("d")


def test_other_relations_do_not_carry_time() -> None:
    repository = store(new("a", conversation=None), new("b", conversation=None))
    repository.relate([Edge(1, 2, "supports", 1.0)])
    assert len(snapshot_of(repository).candidates(None).time_graph.sources) == 0


@pytest.mark.parametrize(
    ("hours", "sessions"),
    [
        ((0, 1, 2.9, 5), [0, 0, 0, 1]),
        ((0, 2), [0, 0]),  # just two hours are no new session
        ((0, 2.01), [0, 1]),
        ((0, None, 1, None, 9), [0, 0, 0, 0, 1]),
        ((0, None, 9), [0, 0, 1]),  # the pause counts from the last time that is known
        ((None, None, 9), [0, 0, 0]),
        ((None,), [0]),
        ((9, 0), [0, 1]),  # imported in the wrong order
    ],
)
def test_a_pause_of_more_than_two_hours_begins_a_session(
    hours: tuple[float | None, ...], sessions: list[int]
) -> None:
    candidates = snapshot_of(store(*after(*hours))).candidates(None)
    assert grouped(candidates.sessions.tolist()) == sessions


def test_conversations_do_not_share_sessions_and_memories_outside_stand_alone() -> None:
    memories = [
        new(name, conversation=conversation, said_at=NOON)
        for name, conversation in (("a", "c"), ("x", None), ("b", "d"), ("y", None), ("e", "c"))
    ]
    candidates = snapshot_of(store(*memories)).candidates(None)
    assert grouped(candidates.sessions.tolist()) == [0, 1, 2, 3, 0]


def test_times_of_another_conversation_do_not_part_a_session() -> None:
    earlier = [new("x", conversation="before", said_at=NOON)]
    memories = [*earlier, *after(None, 10)]
    snapshot = snapshot_of(store(*memories))
    assert grouped(snapshot.candidates("c").sessions.tolist()) == [0, 0]
    assert grouped(snapshot.candidates(None).sessions.tolist()) == [0, 1, 1]


def test_a_new_weight_replaces_the_old_one() -> None:
    repository = store(new("a"), new("b"))
    snapshot = snapshot_of(repository)
    repository.relate([Edge(1, 2, NEXT, 0.25)])
    snapshot.apply(repository.changes(snapshot.revision))
    assert snapshot.candidates(None).time_graph.weights.tolist() == [0.25, 0.25]


def test_only_what_takes_nothing_away_can_be_applied() -> None:
    repository = store(new("a"), new("b"))
    snapshot = snapshot_of(repository)
    assert snapshot.can_apply(repository.changes(0))  # handed over again
    repository.add([new("c")], stamp=STAMP)
    assert snapshot.can_apply(repository.changes(snapshot.revision))
    repository.forget(["b"])
    assert not snapshot.can_apply(repository.changes(snapshot.revision))
    assert Snapshot().can_apply(repository.changes(0))


step = (
    st.tuples(st.just("add"), st.sampled_from(["c", "d", None]), st.none() | st.integers(0, 9))
    | st.tuples(st.just("forget"), st.integers(0, 30), st.none())
    | st.tuples(st.just("relate"), st.integers(0, 30), st.integers(0, 30))
    | st.tuples(st.just("amend"), st.integers(0, 30), st.integers(0, 9))
    | st.tuples(st.just("use"), st.integers(0, 30), st.integers(0, 9))
    | st.tuples(st.just("look"), st.none(), st.none())
)
AMENDMENTS: tuple[dict[str, object], ...] = (
    {"type": "belief"},
    {"tags": ("a", "b")},
    {"importance": 0.25, "stability": "canonical"},
    {"tags": ()},
    {"type": "episodic"},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=25))
def test_following_a_store_step_by_step_ends_where_reading_it_whole_does(
    steps: list[tuple[str, str | int | None, int | None]],
) -> None:
    repository, followed, names = store(), Snapshot(), count()
    alive: list[tuple[str, int]] = []
    for kind, one, other in [*steps, ("look", None, None)]:
        if kind == "add":
            assert not isinstance(one, int)
            said_at = None if other is None else NOON + timedelta(hours=other)
            (added,) = repository.add([new(f"m{next(names)}", conversation=one, said_at=said_at)])
            alive.append((added.id, added.seq))
        elif kind == "forget" and alive:
            assert isinstance(one, int)
            repository.forget([alive.pop(one % len(alive))[0]])
        elif kind == "relate" and len(alive) > 1:
            assert isinstance(one, int)
            assert isinstance(other, int)
            source, target = alive[one % len(alive)][1], alive[other % len(alive)][1]
            if source != target:
                repository.relate([Edge(source, target, NEXT, (one % 5) / 4)])
        elif kind == "amend" and alive:
            assert isinstance(one, int)
            assert isinstance(other, int)
            repository.amend(alive[one % len(alive)][0], AMENDMENTS[other % len(AMENDMENTS)])
        elif kind == "use" and alive:
            assert isinstance(one, int)
            assert isinstance(other, int)
            repository.touch([alive[one % len(alive)][1]], at=NOON + timedelta(hours=other))
        elif kind == "look":
            changes = repository.changes(followed.revision)
            if not followed.can_apply(changes):
                followed, changes = Snapshot(), repository.changes(0)
            followed.apply(changes)
            whole = snapshot_of(repository)
            assert followed.revision == whole.revision == repository.revision()
            seqs, boosts = whole.candidates(None).seqs, {"belief": 2.0, "episodic": 1.5}
            assert followed.relations.boosts_of(seqs, boosts).tolist() == (
                whole.relations.boosts_of(seqs, boosts).tolist()
            )
            names_now = [None, *(conversation.name for conversation in repository.conversations())]
            for name in names_now:
                assert described(followed.candidates(name)) == described(whole.candidates(name))
