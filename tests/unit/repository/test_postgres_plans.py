"""No look-up reads a store whole, whatever the planner knows of the tenant: counted in rows, not in seconds."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from aspen.repository import MemoryFilter, Mention
from aspen.repository._postgres import PostgresRepository
from aspen.repository._postgres import _edges as relating
from aspen.repository._postgres import _keys as keying
from aspen.repository._postgres import _names as naming
from aspen.repository._postgres import _spreading as spreading
from aspen.repository._postgres import _steps as steps
from aspen.repository._postgres._browsing_store import page_values
from aspen.repository._postgres._pool import Session
from aspen.repository._postgres._statements import table_names
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import NOON, STAMP, new_memory
from aspen.types import Edge

MEMORIES = 2500
LOOK_UPS: dict[str, Callable[[Session, int], Any]] = {
    "by seq": lambda session, _: session.rows("memories_by_seq", seqs=list(range(1, 40))),
    "by id": lambda session, _: steps.by_id(session, [f"m{number}" for number in range(40)]),
    "types": lambda session, _: session.rows("memory_types", seqs=list(range(1, 40))),
    "existing": lambda session, _: steps.existing(session, range(1, 40)),
    "list": lambda session, _: session.rows("list_memories", before=900, speaker=None, limit=20),
    "list within": lambda session, _: session.rows(
        "list_conversation", conversation="c7", before=900, speaker=None, limit=20
    ),
    "page": lambda session, _: session.rows("page_newest", limit=20, **page_values(MemoryFilter())),
    "page of the oldest": lambda session, _: session.rows(
        "page_oldest", limit=20, **page_values(MemoryFilter(), newest_first=False, beyond=700)
    ),
    "attached": lambda session, _: steps.attached(session, list(range(1, 40))),
    "from traces": lambda session, _: session.rows("memories_from_traces", ids=["t1", "t2"]),
    "postings": lambda session, _: session.rows("postings", terms=["w3", "w5", "nothing"]),
    "mentions": lambda session, _: session.rows("mentions", seqs=list(range(1, 40))),
    "mentioning": lambda session, _: naming.mentioning(session, ["all"] * 5, conversation=None, limit=10),
    "mentioning within": lambda session, _: naming.mentioning(
        session, ["all"] * 5, conversation="c7", limit=10
    ),
    "about": lambda session, _: naming.about(session, ["all"] * 5, conversation=None, limit=10),
    "about within": lambda session, _: naming.about(session, ["all"] * 5, conversation="c7", limit=10),
    "out edges": lambda session, _: relating.out_edges(
        session, list(range(1, 40)), fan=10, min_weight=0.0, types=None
    ),
    "in edges": lambda session, _: relating.in_edges(session, list(range(1, 40)), fan=10),
    "spread": lambda session, _: spreading.spread(
        session,
        {1: 1.0, 50: 1.0},
        max_hops=2,
        decay=0.5,
        type_boost={"self": 2.0},
        min_weight=0.0,
        types=None,
        fan=10,
        paths=3,
    ),
    "head keys": lambda session, _: session.rows("head_keys", stamp=1, seqs=list(range(1, 40))),
    "fragments": lambda session, _: keying.fragments(session, [(seq, "x") for seq in range(1, 40)]),
    "last of conversations": lambda session, _: session.rows(
        "last_of_conversations", conversations=["c1", "c2", "c3"]
    ),
    "changes": lambda session, revision: keying.changed_rows(session, revision - 1),
    "new edges": lambda session, revision: session.rows("new_edges", since=revision - 1),
    "new accesses": lambda session, revision: session.rows("new_accesses", since=revision - 1),
}
READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)
    FROM pg_stat_xact_user_tables
    WHERE schemaname = 'aspen'
"""


def fill(store: PostgresRepository, count: int) -> None:
    """Each conversation has five memories, all memories a name, a subject and three edges."""
    store.set_stamp(STAMP)
    for start in range(0, count, 500):
        store.add(
            [
                new_memory(
                    f"m{number}",
                    conversation=f"c{number // 5}",
                    terms=(f"w{number % 300}", "x"),
                    subject="all",
                    mentions=(Mention("all", 0, 1),),
                    traits={"t": 0.5},
                    head_keys=b"h",
                )
                for number in range(start, start + 500)
            ]
        )
    steps_on = [(seq, 1 + (seq * 7 + hop * 13) % count) for seq in range(1, count + 1) for hop in range(3)]
    store.relate([Edge(*ends, "x", 0.5) for ends in steps_on if ends[0] != ends[1]])
    store.touch(range(1, count + 1), at=NOON)
    store.save_fragments(STAMP, {(seq, "x"): b"f" for seq in range(1, count + 1)})
    store.add([new_memory("last", conversation="c1")])


@pytest.mark.slow
@pytest.mark.parametrize("known", ["nothing", "another tenant", "all"])
def test_no_look_up_reads_the_store_whole(
    postgres_server: PostgresServer, postgres_owner: str, known: str
) -> None:
    url = postgres_server.url(postgres_server.new_database(owner=postgres_owner), role=postgres_owner)
    with PostgresRepository(url) as other, psycopg.connect(url, autocommit=True) as connection:
        for table in table_names():
            connection.execute(f"ALTER TABLE aspen.{table} SET (autovacuum_enabled = off)")
        if known == "another tenant":  # all that the planner knows is that every row is his
            fill(other, 500)
            connection.execute("ANALYZE")
        with PostgresRepository(f"{url}?tenant=large") as store:
            fill(store, MEMORIES)
            if known == "all":
                connection.execute("ANALYZE")
            revision = store.revision()
            read: dict[str, int] = {}
            for look_up, run in LOOK_UPS.items():
                for _ in range(7):  # prepared after five
                    with store._pool.reading() as session:
                        before = session._connection.execute(READ).fetchall()[0][0]
                        run(session, revision)
                        rows = session._connection.execute(READ).fetchall()[0][0] - before
                        read[look_up] = max(int(rows), read.get(look_up, 0))
    assert read["by seq"] >= 39
    assert {look_up: rows for look_up, rows in read.items() if rows > 400} == {}
