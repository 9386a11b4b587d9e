"""The driver's errors come out as Aspen's, with the driver's as cause; lost connections are replaced."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from aspen.errors import StoreBusy, StoreError, StoreNotWritable
from aspen.repository._postgres import PostgresRepository
from aspen.repository._postgres._errors import translated
from aspen.repository._postgres._pool import MAX_CONNECTIONS, Session
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import STAMP, new_memory


@pytest.mark.parametrize(
    ("kind", "expected", "message"),
    [
        (errors.LockNotAvailable, StoreBusy, "for too long"),
        (errors.DeadlockDetected, StoreBusy, "for too long"),
        (errors.QueryCanceled, StoreBusy, "for too long"),
        (errors.TooManyConnections, StoreBusy, "for too long"),
        (PoolTimeout, StoreBusy, "for too long"),
        (errors.DiskFull, StoreNotWritable, "full"),
        (errors.InsufficientPrivilege, StoreNotWritable, "cannot be written"),
        (errors.ReadOnlySqlTransaction, StoreNotWritable, "cannot be written"),
        (errors.DataCorrupted, StoreError, "damaged"),
        (errors.IndexCorrupted, StoreError, "damaged"),
        (errors.UndefinedTable, StoreError, "lacks"),
        (errors.AdminShutdown, StoreError, "no connection"),
        (errors.CannotConnectNow, StoreError, "no connection"),
        (psycopg.OperationalError, StoreError, "no connection"),
        (errors.CheckViolation, StoreError, "cannot be used"),
        (psycopg.InterfaceError, StoreError, "cannot be used"),
    ],
)
def test_each_kind_has_its_error(kind: type[psycopg.Error], expected: type[StoreError], message: str) -> None:
    cause = kind("first line\n  second line")
    with pytest.raises(StoreError, match=message) as caught, translated("postgresql://h/db"):
        raise cause
    assert type(caught.value) is expected
    assert caught.value.__cause__ is cause
    assert "postgresql://h/db" in caught.value.message
    assert caught.value.details["cause"] == "first line second line"
    assert caught.value.details["sqlstate"] == kind.sqlstate


@pytest.fixture
def store(new_postgres_url: Callable[..., str]) -> Iterator[PostgresRepository]:
    with PostgresRepository(new_postgres_url(), busy_timeout=0.5) as store:
        store.set_stamp(STAMP)
        store.add([new_memory("a", conversation="c", terms=("x",))])
        yield store


@pytest.fixture
def superuser(
    postgres_server: PostgresServer, postgres_database: str
) -> Iterator["psycopg.Connection[tuple[int]]"]:
    with psycopg.connect(postgres_server.url(postgres_database), autocommit=True) as connection:
        yield connection


def backend_of(session: Session) -> int:
    return session._connection.info.backend_pid


def test_a_store_that_is_held_is_busy(
    store: PostgresRepository, new_postgres_url: Callable[..., str]
) -> None:
    with store._pool.writing(), ThreadPoolExecutor(1) as another_thread:
        error = another_thread.submit(store.add, [new_memory("b")]).exception()
        assert isinstance(error, StoreBusy)
        assert isinstance(error.__cause__, errors.LockNotAvailable)
        assert len(another_thread.submit(store.list).result()) == 1  # readers go on
        with PostgresRepository(new_postgres_url(), busy_timeout=0.5) as of_another_tenant:
            of_another_tenant.set_stamp(STAMP)
    store.add([new_memory("b")])


def test_more_callers_than_connections_wait(store: PostgresRepository) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(store._pool.reading())
        with pytest.raises(StoreBusy) as caught:
            store.list()
        assert isinstance(caught.value.__cause__, PoolTimeout)
    assert len(store.list()) == 1


def test_a_constraint_of_the_schema_rolls_everything_back(store: PostgresRepository) -> None:
    with store._pool.writing() as session:
        session.run_many("add_postings", [{"seq": 2, "term": "y", "position": 0}])
    revision = store.revision()
    with pytest.raises(StoreError) as caught:
        store.add([new_memory("b", terms=("y",), conversation="c")])
    assert isinstance(caught.value.__cause__, errors.UniqueViolation)
    assert [memory.id for memory in store.list()] == ["a"]
    assert store.revision() == revision
    assert store.check() == ["There are postings of 1 memories that are not there."]


def test_an_error_of_the_caller_rolls_back_too(store: PostgresRepository) -> None:
    with pytest.raises(KeyboardInterrupt), store._pool.writing() as session:
        session.run("next_revision")
        raise KeyboardInterrupt
    assert store.revision() == 2
    assert store._pool._connections is not None
    assert store._pool._connections.get_stats().get("connections_lost", 0) == 0


def test_a_connection_that_is_lost_in_a_transaction_is_said(
    store: PostgresRepository, superuser: "psycopg.Connection[tuple[int]]"
) -> None:
    for transaction in (store._pool.reading, store._pool.writing):
        with pytest.raises(StoreError, match="no connection") as caught, transaction() as session:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [backend_of(session)])
            session.value("revision")
        assert isinstance(caught.value.__cause__, errors.AdminShutdown)
        assert "server runs" in caught.value.hint
        assert store.revision() == 2
    store.add([new_memory("b")])


def test_idle_connections_that_were_lost_are_replaced(
    store: PostgresRepository, superuser: "psycopg.Connection[tuple[int]]"
) -> None:
    """Nobody notices: not even the first call fails."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(store._pool.reading()) for _ in range(5)]
        backends = [backend_of(session) for session in sessions]
    superuser.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::integer[]) AS pid", [backends])
    assert [memory.id for memory in store.list()] == ["a"]
    store.add([new_memory("b")])
    with store._pool.reading() as session:
        assert backend_of(session) not in backends


def test_damage_is_found(store: PostgresRepository, superuser: "psycopg.Connection[tuple[int]]") -> None:
    tenant = store._address.tenant
    store.add([new_memory("b", terms=("x",)), new_memory("c", terms=("x", "y"))])
    for statement in (
        "DELETE FROM aspen.memory_key WHERE tenant_id = %s AND seq = 1",
        "UPDATE aspen.memory_key SET body = 'x' WHERE tenant_id = %s AND seq = 3",
        "DELETE FROM aspen.posting WHERE tenant_id = %s AND seq = 2",
        "INSERT INTO aspen.posting VALUES (%s, 'y', 77, 0)",
        "INSERT INTO aspen.trace VALUES (%s, 1, 't', NULL, 0, 0, 'int8', 1, 'x')",
        "INSERT INTO aspen.forgotten VALUES (%s, 3, 1)",
        "UPDATE aspen.store SET last_seq = 1 WHERE tenant_id = %s",
    ):
        superuser.execute(statement.encode(), [tenant])
    assert store.check() == [
        "1 memories have no key of the current stamp.",
        "1 stamps have keys of different lengths.",
        "There are postings of 1 memories that are not there.",
        "1 memories have other terms than their postings say.",
        "1 traces belong to no memory.",
        "1 memories are recorded as forgotten and are still there.",
        "2 memories are newer than the store's last number.",
    ]


def test_no_foreign_key_can_be_broken(
    superuser: "psycopg.Connection[tuple[int]]", store: PostgresRepository
) -> None:
    for statement in (
        "INSERT INTO aspen.edge VALUES (%s, 1, 99, 'x', 0.5, 1, 'said', 'self')",
        "INSERT INTO aspen.memory_key VALUES (%s, 99, 1, 1, 'x')",
        "INSERT INTO aspen.memory_head_key VALUES (%s, 1, 9, 'x')",
        "INSERT INTO aspen.mention VALUES (%s, 'x', 99, 0, 0)",
        "INSERT INTO aspen.trait VALUES (%s, 1, 9, 'x', 0.5)",
        "INSERT INTO aspen.trace_mention VALUES (%s, 1, 9)",
        "UPDATE aspen.memory SET trace_id = 'gone' WHERE tenant_id = %s",
    ):
        with pytest.raises(errors.ForeignKeyViolation):
            superuser.execute(statement.encode(), [store._address.tenant])
    assert store.check() == []
