"""Stores of older versions are brought up to date when they are opened, with all they hold."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from aspen.repository import Mention, SQLiteRepository, edges_of
from aspen.repository._sqlite._file import APPLICATION_ID
from aspen.repository._sqlite._statements import migrations
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    STAMP,
    accesses_of,
    mentions_of,
    new_memory,
    traits_of,
)
from aspen.types import Edge, Emotion, MemoryType, Provenance, Stability


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


def store_of_version(path: Path, version: int) -> None:
    """Two memories, a trace, keys, words, names, traits, edges, uses and statistics, as of the third version on."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("".join(migrations()[:version]))
        connection.execute(
            "UPDATE meta SET value = 7 WHERE name = 'revision'; UPDATE meta SET value = 6 WHERE name = 'unrelated';"
            "INSERT INTO key_stamp VALUES (1, 'weights-tokens', 'a-model', '1', 1, 1);"
            "INSERT INTO trace VALUES (1, 't', 'c', 1000000, 5, 'int8', 2, x'0102');"
            "INSERT INTO memory (seq, id, conversation, speaker, subject, said_at, source, provenance, created_at, "
            "  token_count, term_count, trace_id, text, type, stability, importance, emotion, emotion_intensity, tags,"
            "  accessed_at, access_count, access_revision)"
            "VALUES (1, 'a', 'c', 'Ann', 'ann', 2000000, 'f:1', 'said', 3000000, 4, 2, 't', 'x y', 'belief',"
            "  'canonical', 0.25, 'joy', 0.5, '[\"p\", \"q\"]', 4000000, 3, 5),"
            "  (3, 'b', 'c', NULL, NULL, NULL, NULL, 'generated', 3000000, 4, 0, 't', 'z', 'self', 'tentative',"
            "  0.6, NULL, NULL, NULL, NULL, 0, 0);"
            "INSERT INTO trace_mention VALUES (3, 1);"
            "INSERT INTO keyword (rowid, terms) VALUES (1, 'x y'), (3, '');"
            "INSERT INTO memory_key VALUES (1, 1, 2, x'01'), (3, 1, 2, x'02');"
            "INSERT INTO memory_head_key VALUES (1, 1, x'0a');"
            "INSERT INTO mention VALUES ('lisbon', 1, 0, 1);"
            "INSERT INTO trait VALUES (1, 1, 'calm', 0.5);"
            "INSERT INTO edge VALUES (1, 3, 'next', 1.0, 2, 'inferred'), (3, 1, 'supports', 0.5, 4, 'said');"
            "INSERT INTO statistics VALUES ('mean', x'09');"
            "INSERT INTO forgotten VALUES (2, 6);"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}"
        )
        if version >= 4:
            connection.execute("INSERT INTO memory_fragment VALUES (1, 1, 'f', x'0b')")


@pytest.mark.parametrize("version", [3, 4])
def test_nothing_of_a_store_is_lost_and_its_memories_are_of_version_1(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store.db"
    store_of_version(path, version)
    with SQLiteRepository(path) as store:
        a, b = store.get(["a", "b"])
        assert (a.seq, a.text, a.speaker, a.source, a.trace_id, a.token_count) == (
            1,
            "x y",
            "Ann",
            "f:1",
            "t",
            4,
        )
        assert (a.type, a.stability, a.importance) == (MemoryType.BELIEF, Stability.CANONICAL, 0.25)
        assert (a.emotion, a.tags, a.access_count) == (Emotion("joy", 0.5), ("p", "q"), 3)
        times = [datetime.fromtimestamp(second, UTC) for second in (2, 3, 4)]
        assert [a.said_at, a.created_at, a.accessed_at] == times
        assert (b.type, b.provenance, b.tags, b.accessed_at) == (
            MemoryType.SELF,
            Provenance.GENERATED,
            (),
            None,
        )
        assert a.version == b.version == 1
        assert store.revision() == 7
        changes = store.changes(0)
        assert changes.memories.seqs.tolist() == [1, 3]
        assert changes.memories.keys.tobytes() == b"\1\2"
        assert traits_of(changes.traits) == [(1, "calm", 0.5)]
        assert accesses_of(changes.accesses) == {1: (3, 4_000_000)}
        assert edges_of(changes.edges) == [
            Edge(1, 3, "next", 1.0, Provenance.INFERRED),
            Edge(3, 1, "supports", 0.5, Provenance.SAID),
        ]
        assert store.changes(5).forgotten.tolist() == [2]
        assert store.changes(5).unrelated
        assert store.postings(["y"])[0].positions.tolist() == [1]
        assert mentions_of(store.mentions([1])) == [(1, Mention("lisbon", 0, 1))]
        assert store.about(["ann"], limit=1).seqs.tolist() == [1]
        assert store.head_keys([1]) == {1: b"\n"}
        assert store.statistics("mean") == b"\t"
        assert (store.trace("t"), store.trace_memories("t")) == (b"\1\2", ["a", "b"])
        kept = {(1, "f"): b"\x0b"} if version >= 4 else {}
        assert store.fragments([(1, "f")]) == kept
        assert store.check() == []
        store.save_fragments(STAMP, {(3, "g"): b"new"})
        assert store.amend("a", {"type": "self"}, version=1).version == 2
        (c,) = store.add([new_memory("c", key=b"3", conversation="c")])
        assert (c.seq, c.version) == (4, 1)
        assert store.check() == []
    with SQLiteRepository(path) as store:  # and it stays
        assert [memory.version for memory in store.get(["a", "b", "c"])] == [2, 1, 1]
        assert store.fragments([(1, "f"), (3, "g")]) == {**kept, (3, "g"): b"new"}
