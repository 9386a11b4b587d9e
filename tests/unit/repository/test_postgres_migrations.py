"""Databases of older versions are brought up to date when they are opened, with all they hold, of every tenant."""

from datetime import UTC, datetime

import psycopg
import pytest

from aspen.repository import Mention, edges_of
from aspen.repository._postgres import PostgresRepository
from aspen.repository._postgres._statements import migrations
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import STAMP, accesses_of, mentions_of, new_memory, traits_of
from aspen.types import Edge, Emotion, MemoryType, Provenance, Stability

_DATA = """
INSERT INTO aspen.store VALUES ('T', 7, 3, 6);
INSERT INTO aspen.key_stamp VALUES ('T', 1, 'weights-tokens', 'a-model', '1', true, 1);
INSERT INTO aspen.trace VALUES ('T', 2, 't', 'c', 1000000, 5, 'int8', 2, '\\x0102');
INSERT INTO aspen.memory VALUES
    ('T', 1, 'a', 'c', 'Ann', 'ann', 2000000, 'f:1', 'said', 3000000, 4, 2, 't', 'x y', 'belief', 'canonical', 0.25,
     'joy', 0.5, '["p", "q"]'),
    ('T', 3, 'b', 'c', NULL, NULL, NULL, NULL, 'generated', 3000000, 4, 0, 't', 'z', 'self', 'tentative', 0.6,
     NULL, NULL, NULL);
INSERT INTO aspen.access VALUES ('T', 1, 3, 4000000, 5);
INSERT INTO aspen.trace_mention VALUES ('T', 3, 2);
INSERT INTO aspen.posting VALUES ('T', 'x', 1, 0), ('T', 'y', 1, 1);
INSERT INTO aspen.memory_key VALUES ('T', 1, 1, 2, '\\x01'), ('T', 3, 1, 2, '\\x02');
INSERT INTO aspen.memory_head_key VALUES ('T', 1, 1, '\\x0a');
INSERT INTO aspen.mention VALUES ('T', 'lisbon', 1, 0, 1);
INSERT INTO aspen.trait VALUES ('T', 1, 1, 'calm', 0.5);
INSERT INTO aspen.edge VALUES
    ('T', 1, 3, 'next', 1.0, 2, 'inferred', 'self'), ('T', 3, 1, 'supports', 0.5, 4, 'said', 'belief');
INSERT INTO aspen.statistics VALUES ('T', 'mean', '\\x09');
INSERT INTO aspen.forgotten VALUES ('T', 2, 6);
"""
_FRAGMENT = "INSERT INTO aspen.memory_fragment VALUES ('T', 1, 1, 'f', '\\x0b');"


def database_of_version(server: PostgresServer, version: int) -> str:
    """Two tenants that hold the same: memories, a trace, keys, words, names, traits, edges, uses and statistics."""
    name = server.new_database()
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA aspen")
        for number, script in enumerate(migrations()[:version], start=1):
            connection.execute(script.encode())
            connection.execute("INSERT INTO aspen.migration (number) VALUES (%s)", [number])
        for tenant in ("one", "two"):
            data = _DATA + (_FRAGMENT if version >= 2 else "")
            connection.execute(data.replace("'T'", f"'{tenant}'").encode())
    return name


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_of_a_store_is_lost_and_its_memories_are_of_version_1(
    postgres_server: PostgresServer, version: int
) -> None:
    name = database_of_version(postgres_server, version)
    for tenant in ("one", "two"):
        with PostgresRepository(postgres_server.url(name, tenant=tenant)) as store:
            a, b = store.get(["a", "b"])
            assert (a.seq, a.text, a.speaker, a.source, a.trace_id) == (1, "x y", "Ann", "f:1", "t")
            assert (a.type, a.stability, a.importance) == (MemoryType.BELIEF, Stability.CANONICAL, 0.25)
            assert (a.emotion, a.tags, a.access_count) == (Emotion("joy", 0.5), ("p", "q"), 3)
            times = [datetime.fromtimestamp(second, UTC) for second in (2, 3, 4)]
            assert [a.said_at, a.created_at, a.accessed_at] == times
            assert (b.type, b.provenance, b.tags) == (MemoryType.SELF, Provenance.GENERATED, ())
            assert a.version == b.version == 1
            assert store.revision() == 7
            changes = store.changes(0)
            assert changes.memories.keys.tobytes() == b"\1\2"
            assert traits_of(changes.traits) == [(1, "calm", 0.5)]
            assert accesses_of(changes.accesses) == {1: (3, 4_000_000)}
            assert edges_of(changes.edges) == [
                Edge(1, 3, "next", 1.0, Provenance.INFERRED),
                Edge(3, 1, "supports", 0.5, Provenance.SAID),
            ]
            assert (store.changes(5).forgotten.tolist(), store.changes(5).unrelated) == ([2], True)
            assert store.postings(["y"])[0].positions.tolist() == [1]
            assert mentions_of(store.mentions([1])) == [(1, Mention("lisbon", 0, 1))]
            assert store.about(["ann"], limit=1).seqs.tolist() == [1]
            assert store.head_keys([1]) == {1: b"\n"}
            assert store.statistics("mean") == b"\t"
            assert (store.trace("t"), store.trace_memories("t")) == (b"\1\2", ["a", "b"])
            assert store.fragments([(1, "f")]) == ({(1, "f"): b"\x0b"} if version >= 2 else {})
            assert store.check() == []
            store.save_fragments(STAMP, {(3, "g"): b"new"})
            assert store.amend("a", {"type": "self"}, version=1).version == 2
            (c,) = store.add([new_memory("c", key=b"3", conversation="c")])
            assert (c.seq, c.version) == (4, 1)
            assert store.check() == []
    with PostgresRepository(postgres_server.url(name, tenant="one")) as store:
        assert [memory.version for memory in store.get(["a", "b", "c"])] == [2, 1, 1]


def test_activation_takes_the_type_that_a_memory_has_now(postgres_server: PostgresServer) -> None:
    """Beside each edge lies the type of its target."""
    with PostgresRepository(postgres_server.url(postgres_server.new_database())) as store:
        store.set_stamp(STAMP)
        a, b = (memory.seq for memory in store.add([new_memory("a"), new_memory("b")]))
        store.relate([Edge(a, b, "x", 0.5)])
        store.amend("b", {"type": "belief"})
        reached = store.spread({a: 1.0}, max_hops=1, decay=1.0, type_boost={"belief": 2.0}, fan=9)
        assert reached.values.tolist() == [1.0, 1.0]
