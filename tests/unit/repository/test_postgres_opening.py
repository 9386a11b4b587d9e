"""What may stand at a URL of Postgres, who may open it, and what is said about it."""

import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from aspen import Aspen
from aspen.errors import (
    InvalidInput,
    MissingDependency,
    StoreBusy,
    StoreError,
    StoreNotWritable,
    StoreVersionError,
)
from aspen.repository import open_repository
from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import STAMP, new_memory

WITHOUT = """
import sys
sys.modules["{module}"] = None
from aspen.repository import open_repository
try:
    open_repository("postgresql://u:secret@localhost/aspen")
except Exception as error:
    print(type(error).__name__, error)
"""


def sql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def new_database(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres_server.url(postgres_server.new_database())


def new_role(server: PostgresServer, *rights: str, database: str) -> str:
    name = server.new_role()
    sql(database, *(right.format(role=name) for right in rights))
    return name


def as_role(url: str, role: str) -> str:
    return url.replace("//postgres@", f"//{role}@")


def test_the_location_chooses_the_store(new_database: str) -> None:
    for url in (new_database, new_database.replace("postgresql:", "postgres:")):
        with open_repository(url) as store:
            assert isinstance(store, PostgresRepository)
            assert store.location == url
            assert store.writable
    with Aspen.open(f"{new_database}?tenant=alice") as aspen:
        assert aspen.repository.list() == []
        assert aspen.repository.location.endswith("tenant=alice")


def test_a_url_as_a_path_is_refused() -> None:
    with pytest.raises(InvalidInput, match="string") as caught:
        open_repository(Path("postgresql://u:secret@localhost/aspen"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("module", ["psycopg", "psycopg_pool", "psycopg.pq"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(module: str) -> None:
    program = [sys.executable, "-c", WITHOUT.format(module=module)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert said.startswith(MissingDependency.__name__)
    assert "pip install 'aspen-memory[postgres]'" in said
    assert "secret" not in said


def test_files_and_memory_need_no_driver() -> None:
    program = (
        "import sys, aspen.repository as r; r.open_repository(':memory:'); print('psycopg' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"
    )


def test_opening_again_changes_nothing(new_database: str) -> None:
    with PostgresRepository(new_database) as store:
        store.set_stamp(STAMP)
    with PostgresRepository(new_database) as store:
        assert store.stamp() == STAMP
        assert store.revision() == 1


def test_the_schema_of_another_application_is_refused(new_database: str) -> None:
    sql(new_database, "CREATE SCHEMA aspen", "CREATE TABLE aspen.trees (x int)")
    with pytest.raises(StoreVersionError, match="another application"):
        PostgresRepository(new_database)


def test_an_empty_schema_is_taken(new_database: str, postgres_server: PostgresServer) -> None:
    """An administrator may have made it, for a role that may create none."""
    role = new_role(postgres_server, "CREATE SCHEMA aspen AUTHORIZATION {role}", database=new_database)
    with PostgresRepository(as_role(new_database, role)) as store:
        store.set_stamp(STAMP)
        assert store.check() == []


def test_who_may_create_no_schema_is_told(new_database: str, postgres_server: PostgresServer) -> None:
    role = new_role(postgres_server, database=new_database)
    with pytest.raises(StoreNotWritable, match="cannot be written") as caught:
        PostgresRepository(as_role(new_database, role))
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_a_newer_store_asks_for_an_upgrade(new_database: str) -> None:
    PostgresRepository(new_database).close()
    sql(new_database, "INSERT INTO aspen.migration (number) VALUES (99)")
    with pytest.raises(StoreVersionError, match="Upgrade aspen") as caught:
        PostgresRepository(new_database)
    assert caught.value.details["version"] == 99


def test_a_missing_table_is_named(new_database: str) -> None:
    PostgresRepository(new_database).close()
    sql(new_database, "DROP TABLE aspen.edge")
    with pytest.raises(StoreError, match="lacks the table edge"):
        PostgresRepository(new_database)


def test_a_database_of_another_encoding_is_refused(postgres_server: PostgresServer) -> None:
    name = postgres_server.new_database("--encoding=LATIN1", "--template=template0")
    with pytest.raises(StoreError, match="LATIN1"):
        PostgresRepository(postgres_server.url(name))


def test_what_is_not_there_is_named(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match='database "nowhere" does not exist') as caught:
        PostgresRepository(postgres_server.url("nowhere"))
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    with pytest.raises(StoreError, match='role "nobody" does not exist'):
        PostgresRepository(postgres_server.url(role="nobody"))
    for nowhere in (f"postgresql:///db?host={tmp_path}", "postgresql://u:secret@127.0.0.1:1/db"):
        with pytest.raises(StoreError, match="no connection") as caught:
            PostgresRepository(nowhere, busy_timeout=2)
        assert "server runs" in caught.value.hint
        assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_password_is_said_and_not_shown(
    new_database: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    role = new_role(postgres_server, "ALTER ROLE {role} PASSWORD 'right'", database=new_database)
    sql(
        new_database,
        f"GRANT CREATE ON DATABASE {new_database.rpartition('/')[2]} TO {role}",
    )
    rules = postgres_server.data / "pg_hba.conf"
    rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
    postgres_server.reload()
    for password in ("wr%40ng", ""):
        with pytest.raises(StoreError, match="password") as caught:
            PostgresRepository(as_role(new_database, f"{role}:{password}"))
        assert "wr" + "@ng" not in "".join(traceback.format_exception(caught.value))
        assert "wr%40ng" not in str(caught.value.diagnostics())
    with PostgresRepository(as_role(new_database, f"{role}:right")) as store:
        store.set_stamp(STAMP)
        assert f"//{role}:***@%2F" in store.location
        store.close()
        with pytest.raises(StoreError, match="closed") as caught:
            store.list()
    assert ":right" not in caplog.text + str(caught.value) + repr(store._address)
    assert ":wr" not in caplog.text


def test_a_role_that_may_only_read_reads(new_database: str, postgres_server: PostgresServer) -> None:
    with PostgresRepository(new_database) as store:
        store.set_stamp(STAMP)
        store.add([new_memory("a", terms=("x",))])
    role = new_role(
        postgres_server,
        "GRANT USAGE ON SCHEMA aspen TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA aspen TO {role}",
        database=new_database,
    )
    with PostgresRepository(as_role(new_database, role)) as store:
        assert not store.writable
        assert [memory.id for memory in store.list()] == ["a"]
        assert len(store.changes(0).memories.seqs) == 1
        assert store.check() == []
        with pytest.raises(StoreNotWritable, match="cannot be written"):
            store.forget(["a"])
    sql(new_database, f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA aspen TO {role}")
    with PostgresRepository(as_role(new_database, role)) as store:
        store.add([new_memory("b")])
        assert store.forget(["a"]) == 0  # without the right to vacuum
    sql(new_database, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    with PostgresRepository(as_role(new_database, role)) as store:
        assert not store.writable
        assert [memory.id for memory in store.list()] == ["b"]


def test_a_right_that_was_taken_away_is_said(new_database: str, postgres_server: PostgresServer) -> None:
    PostgresRepository(new_database).close()
    rights = ("GRANT USAGE ON SCHEMA aspen TO {role}", "GRANT ALL ON ALL TABLES IN SCHEMA aspen TO {role}")
    role = new_role(postgres_server, *rights, database=new_database)
    with PostgresRepository(as_role(new_database, role)) as store:
        store.set_stamp(STAMP)
        sql(new_database, f"REVOKE INSERT ON aspen.posting FROM {role}")
        with pytest.raises(StoreNotWritable):
            store.add([new_memory("a", terms=("x",))])
        assert store.list() == []
        assert store.revision() == 1
        store.add([new_memory("a")])


def test_a_store_that_another_process_creates_is_busy(new_database: str) -> None:
    with psycopg.connect(new_database) as other:
        other.execute("SELECT pg_advisory_xact_lock(418548573550)")
        with pytest.raises(StoreBusy, match="creating") as caught:
            PostgresRepository(new_database, busy_timeout=0.2)
        assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)
    PostgresRepository(new_database).close()


def test_settings_of_every_connection(new_postgres_url: Callable[..., str]) -> None:
    with PostgresRepository(new_postgres_url(), busy_timeout=7) as store, store._pool.writing() as session:
        names = (
            "jit", "enable_sort", "client_encoding", "lock_timeout", "synchronous_commit", "transaction_isolation",
            "application_name",
        )  # fmt: skip
        settings = {name: session._connection.execute(f"SHOW {name}").fetchall()[0][0] for name in names}
    assert settings == {
        "jit": "off",
        "enable_sort": "off",
        "client_encoding": "UTF8",
        "lock_timeout": "7s",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "application_name": "aspen",
    }


def test_writes_are_durable_where_the_server_thinks_they_need_not_be(new_database: str) -> None:
    PostgresRepository(new_database).close()
    name = new_database.rpartition("/")[2]
    sql(new_database, f"ALTER DATABASE {name} SET synchronous_commit = off")
    with PostgresRepository(new_database) as store, store._pool.writing() as session:
        assert session._connection.execute("SHOW synchronous_commit").fetchall() == [("on",)]
