"""The backup of a Postgres store is a store of SQLite that goes on where it stood."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aspen.errors import InvalidInput, StoreError, StoreNotWritable
from aspen.repository import Mention, Repository, SQLiteRepository, edges_of
from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    NOON,
    STAMP,
    accesses_of,
    mentions_of,
    new_memory,
    new_trace,
    traits_of,
)
from aspen.types import Edge, Emotion, MemoryType, Provenance


def everything(store: Repository) -> list[Any]:
    """All that a store tells, at every revision."""
    told: list[Any] = [store.revision(), store.stamp(), store.list(), store.conversations(), store.traces()]
    for since in range(store.revision() + 1):
        changes = store.changes(since)
        told += [
            changes.memories.seqs.tolist(),
            changes.memories.keys.tobytes(),
            changes.memories.subjects,
            changes.memories.said_at.tolist(),
            changes.memories.term_counts.tolist(),
            traits_of(changes.traits),
            edges_of(changes.edges),
            accesses_of(changes.accesses),
            changes.forgotten.tolist(),
            changes.unrelated,
        ]
    seqs = list(range(1, 20))
    told += [
        store.head_keys(seqs),
        store.fragments([(seq, name) for seq in seqs for name in "xy"]),
        mentions_of(store.mentions(seqs)),
        store.statistics("mean"),
        store.check(),
    ]
    told += [(found.seqs.tolist(), found.positions.tolist()) for found in store.postings(["x", "é", "y"])]
    told += [store.trace(info.id) for info in store.traces()]
    for stamp in (STAMP, NEXT_STAMP):
        told += [store.missing_keys(stamp, limit=9), store.keys(stamp)[1].tobytes()]
    return told


def fill(store: Repository) -> None:
    store.set_stamp(STAMP)
    parts: dict[str, Any] = {
        "conversation": "c",
        "speaker": "Ann",
        "terms": ("x", "é", "x"),
        "subject": "ann",
        "mentions": (Mention("bob", 0, 2), Mention("bob", 1, 3)),
        "traits": {"calm": 0.1},
        "type": MemoryType.BELIEF,
        "importance": 1 / 3,
        "emotion": Emotion("joy", 0.1),
        "tags": ("é", '"'),
    }
    store.add([new_memory(name, head_keys=name.encode(), **parts) for name in "abc"])
    store.forget(["b"])
    trace = new_trace("t2", b"\x00\xff" * 9000, conversation="c", mentions=("a", "e"))
    store.add([new_memory("d", trace_id="t1")], trace=new_trace("t1"))
    store.add([new_memory("e", trace_id="t2", **parts), new_memory("f")], trace=trace)
    store.relate([Edge(1, 3, "causes", 0.1), Edge(3, 1, "causes", 0.0, Provenance.SAID)])
    store.touch([1, 3, 1], at=NOON)
    store.amend("c", {"type": "self", "tags": ["amended"]})
    store.unrelate([(1, 3, "causes")])
    store.touch([3], at=NOON)
    # Two more stamps, of which the first is gone, so that the numbers of the stamps are others in the copy.
    coming = {memory.seq: b"coming" for memory in store.missing_keys(NEXT_STAMP, limit=9)}
    store.add_keys(NEXT_STAMP, coming, traits={1: {"new": 1.0}}, head_keys={3: b"new"})
    store.activate(NEXT_STAMP)
    store.save_fragments(NEXT_STAMP, {(1, "x"): b"\x00\xff" * 9000, (1, "y"): b"1", (3, "x"): b"3"})
    store.add_keys(STAMP, {1: b"again 1!"}, traits={1: {"old": 0.5}}, head_keys={1: b"old"})
    store.save_statistics("mean", b"1\x00", as_of=store.revision())
    store.forget(["f"])  # the newest: its number must not be given away again
    store.save_statistics("mean", b"2\x00", as_of=store.revision())


def test_a_backup_is_the_same_store_in_a_file(new_postgres_url: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    with PostgresRepository(new_postgres_url()) as store:
        fill(store)
        store.backup(str(path))
        assert [file.name for file in tmp_path.iterdir()] == ["copy.db"]
        before = everything(store)
        with SQLiteRepository(path) as copy:
            assert everything(copy) == before
            both: tuple[Repository, Repository] = (store, copy)
            for each in both:  # both go on
                each.add([new_memory("g", conversation="c", key=b"newkey")])
                each.touch([1, 5], at=NOON)
                each.add_keys(STAMP, dict.fromkeys([3, 4, 5], b"8 bytes!"))
                assert each.forget(["a"]) == 1
            assert everything(copy) == everything(store)
            with pytest.raises(InvalidInput, match="in use"):
                store.backup(str(path))
        store.backup(str(path))  # an older copy is replaced
        with SQLiteRepository(path) as copy:
            assert everything(copy) == everything(store)


def test_the_backup_of_a_new_store_is_empty(new_postgres_url: Callable[..., str], tmp_path: Path) -> None:
    with PostgresRepository(new_postgres_url()) as store:
        store.backup(str(tmp_path / "copy.db"))
    with SQLiteRepository(tmp_path / "copy.db") as copy:
        assert copy.revision() == 0
        assert copy.check() == []
        copy.set_stamp(STAMP)


def test_a_backup_needs_a_place(new_postgres_url: Callable[..., str], tmp_path: Path) -> None:
    with PostgresRepository(new_postgres_url()) as store:
        for place in (tmp_path, tmp_path / "no" / "where.db"):
            with pytest.raises(StoreNotWritable):
                store.backup(str(place))
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_fails_leaves_the_older_one(
    new_postgres_url: Callable[..., str],
    postgres_server: PostgresServer,
    postgres_database: str,
    postgres_owner: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "copy.db"
    url = postgres_server.url(postgres_database)
    with PostgresRepository(new_postgres_url()) as store, psycopg.connect(url, autocommit=True) as superuser:
        fill(store)
        store.backup(str(path))
        before = path.read_bytes()
        superuser.execute(f"REVOKE SELECT ON aspen.trait FROM {postgres_owner}")
        try:
            with pytest.raises(StoreError, match="USAGE"):
                store.backup(str(path))
        finally:
            superuser.execute(f"GRANT SELECT ON aspen.trait TO {postgres_owner}")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["copy.db"]
