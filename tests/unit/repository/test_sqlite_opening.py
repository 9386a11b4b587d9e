"""What may stand at a path, and what is said about it."""

import os
import stat
from pathlib import Path

import apsw
import pytest
from filelock import FileLock

from aspen.errors import InvalidInput, StoreBusy, StoreError, StoreNotWritable, StoreVersionError
from aspen.repository import InMemoryRepository, SQLiteRepository, open_repository
from aspen.testing.repository_builders import STAMP, new_memory


def filled(path: Path, count: int = 3) -> Path:
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        store.add([new_memory(f"m{n}", terms=("x",), conversation="c") for n in range(count)])
    return path


def pragma(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement).fetchall()
    connection.close()


def test_the_location_chooses_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_repository(":memory:"), InMemoryRepository)
    monkeypatch.setenv("HOME", str(tmp_path))
    with open_repository("~/a.db") as store:
        assert isinstance(store, SQLiteRepository)
        assert store.location == str(tmp_path / "a.db")
        assert store.writable
    monkeypatch.chdir(tmp_path)
    with open_repository(Path("b.db")) as store:
        monkeypatch.chdir("/")
        store.set_stamp(STAMP)
        assert (tmp_path / "b.db").exists()
    with pytest.raises(InvalidInput, match="mysql"):
        open_repository("mysql://localhost/aspen")


@pytest.mark.parametrize(
    "name", ["with space.db", "quo'te\".db", "per%cent?x=1#a.db", "ünï.db", "file:x.db", "no-end"]
)
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    with SQLiteRepository(filled(tmp_path / name)) as store:
        assert store.stats().memories == 3
        store.forget(["m0"])
        store.backup(str(tmp_path / ("copy of " + name)))
    assert {name, "copy of " + name} <= {file.name for file in tmp_path.iterdir()}
    assert not [
        file for file in tmp_path.iterdir() if file.name.endswith(("-wal", "-shm", ".part", "-journal"))
    ]


@pytest.mark.parametrize(
    "name",
    ["a\0b.db", "x" * 300, "x" * 250, "y/" * 3000, "a\ud800.db", "a\udcff.db", "~nobody-of-this-name/a"],
)
def test_what_can_be_no_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for location in (name, Path(name)):
        with pytest.raises(InvalidInput, match="cannot be used as the path of a store"):
            open_repository(location)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreNotWritable, match="mkdir -p") as caught:
        SQLiteRepository(tmp_path / "no" / "where.db")
    assert not (tmp_path / "no").exists()
    assert "does not exist" in caught.value.message


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_folder_that_takes_no_files_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    opened = os.open

    def refuse(
        name: str | Path, flags: int, *rest: int
    ) -> int:  # as /proc does, or a folder that is read-only
        if flags & os.O_CREAT:
            raise error(2, "There is no making files here", str(name))
        return opened(name, flags, *rest)

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(StoreNotWritable) as caught:
        SQLiteRepository(tmp_path / "store.db")
    folder = f"no file can be made in the folder {tmp_path} (There is no making files here)"
    assert caught.value.message == f"The store {tmp_path / 'store.db'} cannot be written: {folder}."
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_makes_the_store_is_waited_for(tmp_path: Path) -> None:
    with FileLock(tmp_path / "store.db.lock"), pytest.raises(StoreBusy, match="Another process"):
        SQLiteRepository(tmp_path / "store.db", busy_timeout=0.1)
    SQLiteRepository(tmp_path / "store.db", busy_timeout=0.1).close()


def test_a_folder_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreVersionError, match="folder"):
        SQLiteRepository(tmp_path)


@pytest.mark.parametrize(
    "content", [b"hello", b"x" * 100_000, b"SQLite format 3\x00", b"SQLite format 3\x00" + b"x" * 9000]
)
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreVersionError, match="not an Aspen store"):
        SQLiteRepository(path)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    assert filled(path).stat().st_size > 0


def test_an_empty_database_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    pragma(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (x); DROP TABLE t")
    with SQLiteRepository(filled(path)) as store:
        assert store.check() == []


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"]
)
def test_the_database_of_another_application_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.db"
    pragma(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="another application"):
        SQLiteRepository(path)
    assert path.read_bytes() == before


def test_a_newer_store_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    pragma(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreVersionError, match="Upgrade aspen") as caught:
        SQLiteRepository(path)
    assert caught.value.details["version"] == 99


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    pragma(path, "DROP TABLE edge")
    with pytest.raises(StoreError, match="lacks the table edge"):
        SQLiteRepository(path)


def test_a_store_in_another_journal_mode_is_put_back(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    pragma(path, "PRAGMA journal_mode = DELETE")
    with SQLiteRepository(path) as store:
        store.add([new_memory("another")])
        assert path.with_name("store.db-wal").exists()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_truncated_file_is_reported(tmp_path: Path, share: float) -> None:
    path = filled(tmp_path / "store.db", count=2000)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(StoreError), SQLiteRepository(path) as store:
        damage = store.check()
        assert damage
        raise StoreError("; ".join(damage))


def test_damage_and_orphans_are_found(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db")
    pragma(
        path,
        "DELETE FROM memory_key WHERE seq = 1; DELETE FROM keyword WHERE rowid = 2;"
        "INSERT INTO keyword (rowid, terms) VALUES (77, 'y'); UPDATE memory SET trace_id = 'gone' WHERE seq = 3;"
        "INSERT INTO trace VALUES (1, 't', NULL, 0, 0, 'int8', 1, x'00'); INSERT INTO forgotten VALUES (3, 1);"
        "INSERT INTO edge VALUES (1, 99, 'x', 0.5, 1, 'said'); INSERT INTO memory_key VALUES (2, 9, 1, x'00');"
        "INSERT INTO mention VALUES ('x', 99, 0, 0); INSERT INTO trait VALUES (99, 1, 'x', 0.5);"
        "INSERT INTO memory_head_key VALUES (99, 1, x'00'), (2, 9, x'00')",
    )
    with SQLiteRepository(path) as store:
        found = store.check()
    for part in (
        "1 memories have no key", "There are postings of 1 memories that are not there", "1 memories have other terms",
        "1 traces belong to no memory", "forgotten and are still there",
        "edge refer to a memory", "memory refer to a trace", "memory_key refer to a key_stamp",
        "mention refer to a memory", "trait refer to a memory", "memory_head_key refer to a memory",
        "memory_head_key refer to a key_stamp",
    ):  # fmt: skip
        assert any(part in sentence for sentence in found), (part, found)


def test_a_backup_is_a_store(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with SQLiteRepository(filled(tmp_path / "store.db")) as store:
        store.backup(str(copy))
        store.add([new_memory("later")])
        with SQLiteRepository(copy) as other:
            assert other.stats().memories == 3
            assert other.check() == []
            assert other.revision() == store.revision() - 1
            with pytest.raises(InvalidInput, match="in use"):
                store.backup(str(copy))
        store.backup(str(copy))  # an older copy is replaced
    with SQLiteRepository(copy) as other:
        assert other.stats().memories == 4


def test_a_backup_needs_a_place(tmp_path: Path) -> None:
    with SQLiteRepository(filled(tmp_path / "store.db")) as store:
        with pytest.raises(InvalidInput, match="itself"):
            store.backup(str(tmp_path / "store.db"))
        for place in (tmp_path, tmp_path / "no" / "where.db"):
            with pytest.raises(StoreNotWritable):
                store.backup(str(place))
    with InMemoryRepository() as store_in_memory, pytest.raises(InvalidInput):
        store_in_memory.backup(str(tmp_path / "x.db"))


def test_settings_of_every_connection(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with SQLiteRepository(path) as store, store._pool.borrow() as session:
        settings = {
            name: session.connection.pragma(name)
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "secure_delete",
                "page_size",
                "temp_store",
            )
        }
        assert session.connection.pragma("application_id") == int.from_bytes(b"ASPN", "big")
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "page_size": 16384,
        "temp_store": 2,
    }
    assert stat.S_ISREG(path.stat().st_mode)


def test_a_new_store_and_its_backup_are_for_their_owner_alone(tmp_path: Path) -> None:
    path, backup = tmp_path / "store.db", tmp_path / "backup.db"
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        store.add([new_memory("m1")])
        store.backup(str(backup))
        files = [path, tmp_path / "store.db-wal", backup]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
