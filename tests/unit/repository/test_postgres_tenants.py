"""Several tenants in one database: none reaches what belongs to another, whatever its role may do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from aspen.errors import NotFound
from aspen.repository import Mention, Repository, edges_of
from aspen.repository._postgres import PostgresRepository
from aspen.repository._postgres._statements import table_names
from aspen.testing.postgres_server import SUPERUSER, PostgresServer
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    STAMP,
    new_memory,
    new_trace,
    traits_of,
)
from aspen.types import Edge

OWNER = "owner"
ROLES = [OWNER, SUPERUSER]
Connection = psycopg.Connection[tuple[object, ...]]


def fill(store: Repository, word: str) -> list[int]:
    """The same ids, words and names in every store; texts with a word of its own."""
    store.set_stamp(STAMP)
    added = store.add(
        [
            new_memory(
                name,
                f"{word} {name}",
                conversation="c",
                terms=("x", name),
                trace_id="t",
                subject="ann",
                mentions=(Mention("bob", 0, 1),),
                traits={"calm": 0.5},
                head_keys=word.encode(),
            )
            for name in "abc"
        ],
        trace=new_trace("t", word.encode(), conversation="c"),
    )
    store.save_statistics("mean", word.encode(), as_of=store.revision())
    store.save_fragments(STAMP, {(memory.seq, "x"): word.encode() for memory in added})
    return [memory.seq for memory in added]


def content(store: Repository) -> list[object]:
    """All that a store tells."""
    changes, seqs = store.changes(0), list(range(20))
    return [
        store.revision(),
        store.list(),
        store.conversations(),
        store.traces(),
        store.trace("t"),
        store.statistics("mean"),
        edges_of(changes.edges),
        edges_of(store.out_edges(seqs, fan=10)),
        traits_of(changes.traits),
        changes.memories.seqs.tolist(),
        changes.memories.keys.tobytes(),
        store.postings(["x"])[0].seqs.tolist(),
        store.mentioning(["bob"], limit=10).seqs.tolist(),
        store.about(["ann"], conversation="c", limit=10).seqs.tolist(),
        store.head_keys(seqs),
        store.fragments([(seq, "x") for seq in seqs]),
        store.missing_keys(NEXT_STAMP, limit=10),
        store.known(list("abcz")),
        {part: size for part, size in store.stats().bytes.items() if part != "file"},
        store.check(),
    ]


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest, postgres_owner: str) -> str:
    return postgres_owner if request.param == OWNER else SUPERUSER


@pytest.fixture
def stores(role: str, new_postgres_url: Callable[..., str]) -> Iterator[list[PostgresRepository]]:
    """Those of alice and bob."""
    urls = [new_postgres_url(role) for _ in range(2)]
    with PostgresRepository(urls[0]) as alice, PostgresRepository(urls[1]) as bob:
        yield [alice, bob]


def test_stores_of_two_tenants_know_nothing_of_each_other(stores: list[PostgresRepository]) -> None:
    alice, bob = stores
    fill(bob, "bobs")
    before = content(bob)
    assert alice.revision() == 0
    assert alice.list() == []
    assert alice.stamp() is None
    seqs = fill(alice, "alices")
    assert seqs == [1, 2, 3]  # each counts for itself
    assert "bobs" not in str(content(alice))
    alice.relate([Edge(1, 3, "causes", 0.5)])
    alice.add_keys(NEXT_STAMP, dict.fromkeys(seqs, b"coming"), traits={1: {"new": 1.0}})
    alice.activate(NEXT_STAMP)
    alice.save_statistics("mean", b"2", as_of=alice.revision())
    assert alice.forget(["a", "b"]) == 1
    assert content(bob) == before
    bob.forget(["a", "b", "c"])
    assert [memory.text for memory in alice.list()] == ["alices c"]
    assert bob.list() == []


def test_no_edge_leads_into_the_store_of_another(stores: list[PostgresRepository]) -> None:
    alice, bob = stores
    fill(alice, "alices")
    fill(bob, "bobs")
    (beyond,) = (memory.seq for memory in bob.add([new_memory("d")]))
    before = content(bob)
    for edge in (Edge(1, beyond, "causes", 0.5), Edge(beyond, 1, "causes", 0.5)):
        with pytest.raises(NotFound):
            alice.relate([edge])
    assert edges_of(alice.out_edges([beyond], fan=10)) == []
    assert alice.get_by_seq([beyond]) == []
    assert alice.mentions([beyond]).names == []
    alice.add_keys(STAMP, {beyond: b"8 bytes!"})
    with pytest.raises(NotFound):
        alice.forget(["d"])
    assert content(bob) == before


@pytest.fixture
def as_alice(
    stores: list[PostgresRepository],
    postgres_server: PostgresServer,
    postgres_database: str,
    postgres_owner: str,
) -> Iterator[Connection]:
    """A connection of one's own as the tenant alice, to say anything in SQL."""
    alice, bob = stores
    fill(alice, "alices")
    fill(bob, "bobs")
    bob.add([new_memory("d", conversation="c")])
    with psycopg.connect(
        postgres_server.url(postgres_database, role=postgres_owner), autocommit=True
    ) as connection:
        connection.execute("SELECT set_config('aspen.tenant', %s, false)", [alice._address.tenant])
        yield connection


@pytest.mark.parametrize("role", [OWNER], indirect=True)
def test_sql_of_one_tenant_sees_no_row_of_another(
    stores: list[PostgresRepository], as_alice: Connection
) -> None:
    """The owner of the tables himself: the security is forced."""
    alice, bob = (store._address.tenant for store in stores)
    for table in sorted(table_names() - {"migration"}):
        found = as_alice.execute(f"SELECT DISTINCT tenant_id FROM aspen.{table}").fetchall()
        assert found == ([] if table in ("access", "forgotten", "trace_mention") else [(alice,)]), table
        assert as_alice.execute(f"SELECT 1 FROM aspen.{table} WHERE tenant_id = %s", [bob]).fetchall() == []
        assert as_alice.execute(f"DELETE FROM aspen.{table} WHERE tenant_id = %s", [bob]).rowcount == 0
        changed = as_alice.execute(
            f"UPDATE aspen.{table} SET tenant_id = tenant_id WHERE tenant_id = %s", [bob]
        )
        assert changed.rowcount == 0
    for setting in ("", "nobody"):
        as_alice.execute("SELECT set_config('aspen.tenant', %s, false)", [setting])
        assert as_alice.execute("SELECT * FROM aspen.memory").fetchall() == []
    as_alice.execute("RESET aspen.tenant")
    assert as_alice.execute("SELECT * FROM aspen.memory").fetchall() == []


@pytest.mark.parametrize("role", [OWNER], indirect=True)
def test_sql_of_one_tenant_writes_no_row_of_another(
    stores: list[PostgresRepository], as_alice: Connection
) -> None:
    alice, bob = (store._address.tenant for store in stores)
    before = [content(store) for store in stores]
    columns = "tenant_id, seq, id, provenance, created_at, token_count, term_count, text, type, stability, importance"
    memory = f"INSERT INTO aspen.memory ({columns})"
    edge = "INSERT INTO aspen.edge"
    for statement, values in (
        (f"{memory} VALUES (%s, 9, 'e', 'said', 0, 1, 0, 'x', 'self', 'stable', 1)", [bob]),
        (f"{edge} VALUES (%s, 1, 4, 'causes', 1, 1, 'said', 'self')", [bob]),
        ("UPDATE aspen.memory SET tenant_id = %s WHERE seq = 3", [bob]),
        ("UPDATE aspen.edge SET tenant_id = %s", [bob]),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            as_alice.execute(statement, values)
    for statement in (
        f"{edge} VALUES (%s, 1, 4, 'causes', 1, 1, 'said', 'self')",  # there is a 4 in bob's store alone
        "INSERT INTO aspen.mention VALUES (%s, 'x', 4, 0, 0)",
        "INSERT INTO aspen.trait VALUES (%s, 4, 1, 'x', 1)",
        "INSERT INTO aspen.memory_key VALUES (%s, 4, 1, 1, 'x')",
        "INSERT INTO aspen.access VALUES (%s, 4, 1, 0, 1)",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            as_alice.execute(statement, [alice])
    assert [content(store) for store in stores] == before


@pytest.mark.parametrize("role", [SUPERUSER], indirect=True)
def test_a_superuser_opens_one_store_all_the_same(
    stores: list[PostgresRepository], postgres_server: PostgresServer, postgres_database: str
) -> None:
    for store, word in zip(stores, ("alices", "bobs"), strict=True):
        fill(store, word)
    with psycopg.connect(postgres_server.url(postgres_database)) as connection:
        tenants = [store._address.tenant for store in stores]
        seen = connection.execute(
            "SELECT text FROM aspen.memory WHERE tenant_id = ANY(%s)", [tenants]
        ).fetchall()
    assert len(seen) == 6  # row-level security holds back nothing
    assert [memory.text for memory in stores[0].list()] == ["alices c", "alices b", "alices a"]


def test_a_backup_holds_one_tenant_alone(stores: list[PostgresRepository], tmp_path: Path) -> None:
    alice, bob = stores
    fill(alice, "alices")
    fill(bob, "bobs")
    alice.backup(str(tmp_path / "copy.db"))
    copied = (tmp_path / "copy.db").read_bytes()
    assert b"alices" in copied
    assert b"bobs" not in copied
