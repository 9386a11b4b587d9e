"""Stores of older versions are brought up to date when they are opened, with all they hold."""

from contextlib import closing
from pathlib import Path

import apsw

from aspen.repository import SQLiteRepository, edges_of
from aspen.repository._sqlite._file import APPLICATION_ID
from aspen.repository._sqlite._statements import migrations
from aspen.testing.repository_builders import NEXT_STAMP, STAMP, new_memory, traits_of
from aspen.types import Edge, MemoryType, Provenance, Stability


def test_traits_of_the_first_version_go_to_the_stamps_of_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(migrations()[0])
        for number, stamp in enumerate((STAMP, NEXT_STAMP), start=1):
            stamped = (number, stamp.model_id, stamp.model_name, stamp.key_version, number == 1, 1)
            connection.execute("INSERT INTO key_stamp VALUES (?, ?, ?, ?, ?, ?)", stamped)
        connection.execute(
            "UPDATE meta SET value = 3;"
            "INSERT INTO memory (seq, id, provenance, created_at, token_count, term_count, text)"
            "VALUES (1, 'a', 'said', 0, 1, 0, 'a'), (2, 'b', 'said', 0, 1, 0, 'b');"
            "INSERT INTO keyword (rowid, terms) VALUES (1, ''), (2, '');"
            "INSERT INTO memory_key VALUES (1, 1, 2, x'01'), (2, 1, 2, x'02'), (1, 2, 3, x'0101');"
            "INSERT INTO trait VALUES (1, 'calm', 0.5), (1, 'old', 1.0), (2, 'old', 0.25);"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1"
        )
    with SQLiteRepository(path) as store:
        of_a, of_b = [(1, "calm", 0.5), (1, "old", 1.0)], [(2, "old", 0.25)]
        assert traits_of(store.changes(0).traits) == of_a + of_b
        assert store.check() == []
        store.add_keys(NEXT_STAMP, {2: b"\2\2"}, traits={2: {"new": 1.0}})
        store.activate(NEXT_STAMP)
        assert traits_of(store.changes(0).traits) == [*of_a, (2, "new", 1.0)]


def test_memories_of_the_second_version_are_episodes_that_were_never_used(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("".join(migrations()[:2]))
        connection.execute(
            "UPDATE meta SET value = 3;"
            "INSERT INTO key_stamp VALUES (1, 'weights-tokens', 'a-model', '1', 1, 1);"
            "INSERT INTO memory (seq, id, provenance, created_at, token_count, term_count, text)"
            "VALUES (1, 'a', 'said', 0, 1, 0, 'a'), (2, 'b', 'said', 0, 1, 0, 'b');"
            "INSERT INTO keyword (rowid, terms) VALUES (1, ''), (2, '');"
            "INSERT INTO memory_key VALUES (1, 1, 2, x'01'), (2, 1, 2, x'02');"
            "INSERT INTO edge VALUES (1, 2, 'next', 1.0, 2);"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 2"
        )
    with SQLiteRepository(path) as store:
        memory = store.get(["a"])[0]
        assert (memory.type, memory.stability) == (MemoryType.EPISODIC, Stability.TENTATIVE)
        assert (memory.importance, memory.tags, memory.access_count) == (0.6, (), 0)
        assert edges_of(store.changes(0).edges) == [Edge(1, 2, "next", 1.0, Provenance.INFERRED)]
        assert edges_of(store.in_edges([2], fan=1)) == edges_of(store.out_edges([1], fan=1))
        store.add([new_memory("c", key=b"3", type=MemoryType.SELF)])
        assert store.unrelate([(1, 2, "next")]) == 1
        assert store.check() == []
