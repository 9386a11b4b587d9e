"""A Hypothesis state machine: any store against the plain one, compared after every step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aspen.errors import AspenError
from aspen.repository import (
    Changes,
    EdgeRows,
    InMemoryRepository,
    MemoryFilter,
    MemoryRows,
    Mention,
    PriorityRows,
    Repository,
    edges_of,
)
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    NOON,
    STAMP,
    OpenStore,
    accesses_of,
    mentions_of,
    new_memory,
    new_trace,
    traits_of,
)
from aspen.types import Edge, Emotion, MemoryType, Provenance, Relation, RelationType, Stability

_IDS = [f"m{number}" for number in range(12)]
_TERMS = ["x", "é", "e\u0301", "near", "北京", "_"]
_SOUGHT = [*_TERMS, "X", "x y", "a:b", "*", ""]
_NAMES = ["ann", "lake tana", "o'neill", "北京", "é", "e\u0301"]
_SOUGHT_NAMES = ["é", "ANN", "ann", "", "\ud800", "lake tana", "北京", "ann"]
_MOST_TERMS = 5
_FRAGMENTS = ["x", "é"]
_STAMPS = {stamp.key_version: stamp for stamp in (STAMP, NEXT_STAMP)}
_FILTERS = [
    MemoryFilter(),
    MemoryFilter(words=("x", "é")),
    MemoryFilter(words=("near",), beginning="e", conversation="c1"),
    MemoryFilter(type=MemoryType.BELIEF, tag="é", until=NOON),
    MemoryFilter(stability=Stability.STABLE, provenance=Provenance.SAID, tag="a b", since=NOON),
]
_ids = st.sampled_from(_IDS)
_seqs = st.integers(0, 40)
_types = st.sampled_from(["a", "next", "historical_version_of"])
_weights = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)
_ranges = st.tuples(st.integers(0, _MOST_TERMS), st.integers(0, _MOST_TERMS))  # cut to the terms of a memory
_traits = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([0.1, 1.0]))
_kinds = {
    "type": st.sampled_from(MemoryType),
    "stability": st.sampled_from(Stability),
    "importance": st.floats(0, 1),
    "emotion": st.none() | st.builds(Emotion, st.sampled_from(["joy", "é"]), st.floats(0, 1)),
    "tags": st.lists(st.sampled_from(["x", "é", '"', "a b"]), max_size=3).map(tuple),
}
_parts = st.fixed_dictionaries(
    {
        **_kinds,
        "terms": st.lists(st.sampled_from(_TERMS), max_size=_MOST_TERMS).map(tuple),
        "subject": st.none() | st.sampled_from(_NAMES),
        "mentions": st.lists(st.tuples(st.sampled_from(_NAMES), _ranges), max_size=4),
        "traits": _traits,
        "head_keys": st.none() | st.binary(min_size=1, max_size=3),
    }
)
_memories = st.lists(
    st.tuples(_ids, st.sampled_from(["c1", "c2", None]), st.sampled_from([None, None, "t1", "t2"]), _parts),
    min_size=1,
    max_size=5,
)


def repository_machine(open_store: OpenStore) -> type[RuleBasedStateMachine]:
    """A state machine whose `.TestCase` compares stores from `open_store` (a new and empty one each time)."""

    class Machine(_RepositoryMachine):
        def __init__(self) -> None:
            super().__init__(open_store)

    return Machine


class Mirror:
    """What a reader knows who applies changes one after another, as recall does."""

    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[int, tuple[Any, ...]] = {}
        self.traits: list[tuple[int, str, float]] = []
        self.edges: dict[tuple[int, int, str], Edge] = {}
        self.accesses: dict[int, tuple[int, int]] = {}

    def apply(self, changes: Changes) -> None:
        """Take in what happened after `revision`."""
        gone = set(changes.forgotten.tolist())
        self.rows = {seq: row for seq, row in self.rows.items() if seq not in gone}
        self.edges = {name: edge for name, edge in self.edges.items() if not gone & set(name[:2])}
        self.accesses = {seq: access for seq, access in self.accesses.items() if seq not in gone}
        self.accesses |= accesses_of(changes.accesses)
        self.rows.update({row[0]: row for row in _rows(changes.memories)})
        gone |= set(changes.memories.seqs.tolist())
        self.traits = [trait for trait in self.traits if trait[0] not in gone] + traits_of(changes.traits)
        self.edges.update(_by_name(changes.edges))
        self.revision = changes.revision


class _RepositoryMachine(RuleBasedStateMachine):
    def __init__(self, open_store: OpenStore) -> None:
        super().__init__()
        self.oracle = InMemoryRepository()
        self.store = open_store()
        self.mirror = Mirror()

    def both(self, method: str, *values: Any, **options: Any) -> Any:
        """Call both; they return the same, or raise the same kind of error."""
        outcomes = []
        for repository in (self.oracle, self.store):
            try:
                outcomes.append(getattr(repository, method)(*values, **options))
            except AspenError as error:
                outcomes.append((type(error), error.message))
        assert outcomes[0] == outcomes[1]
        return outcomes[0]

    @initialize()
    def stamp_it(self) -> None:
        self.both("set_stamp", STAMP)

    @rule(rows=_memories, mentions=st.lists(_ids, max_size=2), data=st.data())
    def add(self, rows: list[tuple[Any, ...]], mentions: list[str], data: st.DataObject) -> None:
        memories = [
            new_memory(
                name,
                name * 3,
                conversation=conversation,
                trace_id=trace,
                key=self.key(name),
                **{**parts, "mentions": _mentions(parts["mentions"], n_terms=len(parts["terms"]))},
            )
            for name, conversation, trace, parts in rows
        ]
        referred = [memory.trace_id for memory in memories if memory.trace_id]
        trace = None
        if referred:
            known = [memory.id for memory in memories] + [memory.id for memory in self.oracle.list()]
            mentioned = data.draw(st.lists(st.sampled_from(known), max_size=4) | st.just(mentions))
            trace = new_trace(referred[0], mentions=tuple(mentioned))
        self.both("add", memories, trace=trace)

    @rule(trace=_ids, mentions=st.lists(_ids, max_size=2), seed=st.integers(0, 2))
    def add_trace(self, trace: str, mentions: list[str], seed: int) -> None:
        self.both("add_trace", new_trace(trace, seed=seed, mentions=tuple(mentions)))

    def key(self, name: str, version: str | None = None) -> bytes:
        current = self.oracle.stamp()
        version = version or (current.key_version if current else "")
        return f"{name:>6}".encode() * int(version)  # stamps have keys of different lengths

    @rule(
        name=_ids,
        kind=st.fixed_dictionaries({}, optional=_kinds),
        version=st.none() | st.integers(1, 3),
    )
    def amend(self, name: str, kind: dict[str, Any], version: int | None) -> None:
        self.both("amend", name, kind, version=version)

    @rule(ends=st.lists(st.tuples(_ids, _ids, st.sampled_from(RelationType), _weights), max_size=2))
    def relate_by_id(self, ends: list[tuple[str, str, RelationType, float]]) -> None:
        self.both("add", [], relations=[Relation(*values) for values in ends])

    @rule(ids=st.lists(_ids, max_size=3))
    def forget(self, ids: list[str]) -> None:
        self.both("forget", ids)

    @precondition(lambda self: self.oracle.stats().memories > 0)
    @rule(data=st.data())
    def forget_some(self, data: st.DataObject) -> None:
        ids = [memory.id for memory in self.oracle.list()]
        self.both("forget", data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3)))

    @rule(ends=st.lists(st.tuples(_seqs, _seqs, _types, _weights), max_size=3))
    def relate(self, ends: list[tuple[int, int, str, float]]) -> None:
        self.both("relate", [Edge(*values) for values in ends])

    @precondition(lambda self: self.oracle.stats().memories > 1)
    @rule(data=st.data(), count=st.integers(1, 8))
    def relate_some(self, data: st.DataObject, count: int) -> None:
        seqs = [memory.seq for memory in self.oracle.list(limit=3)]  # few, so that edges meet again
        pairs = st.permutations(seqs).map(lambda order: (order[0], order[1]))
        drawn = st.tuples(pairs, _types, _weights, st.sampled_from(Provenance))
        edges = data.draw(st.lists(drawn, min_size=count, max_size=count))
        put = [Edge(*pair, kind, weight, source) for pair, kind, weight, source in edges]
        gone = data.draw(st.lists(st.tuples(pairs, _types).map(lambda name: (*name[0], name[1])), max_size=2))
        used = data.draw(st.lists(_seqs, max_size=2))
        self.both("relate", put, without=gone, used=used, at=NOON)

    @rule(ends=st.lists(st.tuples(_seqs, _seqs, _types), max_size=3), some=st.integers(0, 2))
    def unrelate(self, ends: list[tuple[int, int, str]], some: int) -> None:
        there = list(_by_name(self.oracle.changes(0).edges))[:some]
        self.both("unrelate", [*ends, *there])

    @rule(seqs=st.lists(_seqs, max_size=4), day=st.integers(0, 3))
    def touch(self, seqs: list[int], day: int) -> None:
        self.both("touch", seqs, at=NOON + timedelta(days=day))

    @rule(
        version=st.sampled_from(sorted(_STAMPS)),
        seqs=st.lists(_seqs, max_size=5),
        everything=st.booleans(),
        heads=st.none() | st.binary(min_size=1, max_size=3),
        traits=st.none() | _traits,
        every=st.integers(1, 3),
    )
    def add_keys(
        self,
        version: str,
        seqs: list[int],
        heads: bytes | None,
        traits: dict[str, float] | None,
        every: int,
        *,
        everything: bool,
    ) -> None:
        wanted = [memory.seq for memory in self.oracle.list()] if everything else seqs
        head_keys = None if heads is None else {seq: heads + b"%d" % seq for seq in wanted[::every]}
        keys = {seq: self.key(str(seq), version) for seq in wanted}
        new_traits = None if traits is None else dict.fromkeys(wanted[::every], traits)
        self.both("add_keys", _STAMPS[version], keys, head_keys=head_keys, traits=new_traits)

    @rule(
        version=st.sampled_from(sorted(_STAMPS)),
        places=st.dictionaries(
            st.tuples(_seqs, st.sampled_from(_FRAGMENTS)), st.binary(max_size=3), max_size=4
        ),
    )
    def save_fragments(self, version: str, places: dict[tuple[int, str], bytes]) -> None:
        self.both("save_fragments", _STAMPS[version], places)

    @rule(version=st.sampled_from(sorted(_STAMPS)))
    def activate(self, version: str) -> None:
        self.both("activate", _STAMPS[version])

    @rule(body=st.binary(max_size=4), steps_ago=st.integers(-1, 4))
    def save_statistics(self, body: bytes, steps_ago: int) -> None:
        as_of = max(0, self.oracle.revision() - steps_ago)
        self.both("save_statistics", "mean", body, as_of=as_of)

    @rule()
    def follow(self) -> None:
        """A reader catches up; between two times any number of steps may lie."""
        changes = self.store.changes(self.mirror.revision)
        if changes.unrelated:
            self.mirror = Mirror()
            changes = self.store.changes(0)
        self.mirror.apply(changes)
        whole = self.oracle.changes(0)
        assert sorted(self.mirror.rows.values()) == _rows(whole.memories)
        assert self.mirror.edges == _by_name(whole.edges)
        assert self.mirror.accesses == accesses_of(whole.accesses)
        assert sorted(self.mirror.traits) == traits_of(whole.traits)

    @invariant()
    def agree(self) -> None:
        revision = self.both("revision")
        for since in {0, revision // 2, max(0, revision - 1)}:
            left, right = self.oracle.changes(since), self.store.changes(since)
            assert _rows(left.memories) == _rows(right.memories)
            assert left.memories.keys.shape == right.memories.keys.shape
            assert traits_of(left.traits) == traits_of(right.traits)
            assert edges_of(left.edges) == edges_of(right.edges)
            assert accesses_of(left.accesses) == accesses_of(right.accesses)
            assert left.unrelated == right.unrelated
            assert left.forgotten.tolist() == right.forgotten.tolist()
        for method in ("list", "conversations", "traces", "stamp", "check"):
            self.both(method)
        self.both("list", conversation="c1", before=20, limit=3)
        self.both("traces", seed=1)
        self.both("from_traces", _IDS)
        self.both("statistics", "mean")
        self.both("known", _IDS)
        for trace in ("t1", "t2"):
            self.both("trace_memories", trace)
        for stamp in _STAMPS.values():
            self.both("missing_keys", stamp, limit=5)
        seqs = list(range(12))
        assert _related(self.oracle) == _related(self.store)
        self.both("memory_types", seqs)
        self.both("growth")
        for wanted in _FILTERS:
            self.both("page", wanted, beyond=8, limit=3)
            self.both("page", wanted, newest_first=False, limit=50)
            self.both("count", wanted)
            assert _columns(self.oracle.priority_rows(wanted)) == _columns(self.store.priority_rows(wanted))
        self.both("attached", [memory.id for memory in self.oracle.list(limit=2)])
        postings = [repository.postings(_SOUGHT) for repository in (self.oracle, self.store)]
        lists = [[(p.seqs.tolist(), p.positions.tolist()) for p in found] for found in postings]
        assert lists[0] == lists[1]
        assert _named(self.oracle) == _named(self.store)
        self.both("head_keys", seqs[::-1])
        self.both("fragments", [(seq, name) for seq in seqs for name in _FRAGMENTS])

    def teardown(self) -> None:
        self.store.close()


def _mentions(drawn: list[tuple[str, tuple[int, int]]], *, n_terms: int) -> tuple[Mention, ...]:
    cut = [(name, sorted(min(end, n_terms) for end in ends)) for name, ends in drawn]
    return tuple(Mention(name, start, stop) for name, (start, stop) in cut)


def _by_name(edges: EdgeRows) -> dict[tuple[int, int, str], Edge]:
    return {(edge.source, edge.target, edge.type): edge for edge in edges_of(edges)}


def _related(store: Repository) -> list[list[Edge]]:
    """What a store answers about edges."""
    seqs = list(range(12))
    answers = [store.in_edges(seqs, fan=2)]
    for filters in ({"fan": 1}, {"fan": 3}, {"fan": 2, "min_weight": 0.5}, {"fan": 2, "types": ["a", "b"]}):
        answers.append(store.out_edges(seqs, **filters))
    return [edges_of(answer) for answer in answers]


def _named(store: Repository) -> list[list[tuple[int, Mention]]]:
    """What a store answers about names."""
    answers = [store.mentions(range(12, -1, -1))]
    for conversation, limit in ((None, 2), (None, 50), ("c1", 1), ("c2", 50), ("nowhere", 3)):
        for find in (store.mentioning, store.about):
            answers.append(find(_SOUGHT_NAMES, conversation=conversation, limit=limit))
    return [mentions_of(answer) for answer in answers]


def _columns(rows: PriorityRows) -> list[list[Any]]:
    numbers = (rows.seqs, rows.importances, rows.emotions, rows.counts, rows.used_at)
    return [rows.types, rows.stabilities, *(column.tolist() for column in numbers)]


def _rows(rows: MemoryRows) -> list[tuple[Any, ...]]:
    columns = (
        rows.seqs.tolist(),
        rows.conversations,
        rows.speakers,
        rows.subjects,
        rows.provenances,
        rows.types,
        rows.stabilities,
        rows.importances.tolist(),
        rows.emotions.tolist(),
        rows.tags,
        rows.created_at.tolist(),
        rows.said_at.tolist(),
        rows.token_counts.tolist(),
        rows.term_counts.tolist(),
        [row.tobytes() for row in rows.keys],
    )
    return list(zip(*columns, strict=True))
