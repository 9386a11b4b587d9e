"""The driver's errors come out as Aspen's, with the driver's as cause."""

from pathlib import Path

import apsw
import pytest

from aspen.errors import StoreBusy, StoreError, StoreNotWritable, StoreVersionError
from aspen.repository import SQLiteRepository
from aspen.repository._sqlite._errors import translated
from aspen.testing.repository_builders import STAMP, new_memory


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_BUSY, StoreBusy),
        (apsw.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (apsw.SQLITE_LOCKED, StoreBusy),
        (apsw.SQLITE_FULL, StoreNotWritable),
        (apsw.SQLITE_READONLY, StoreNotWritable),
        (apsw.SQLITE_READONLY_DBMOVED, StoreNotWritable),
        (apsw.SQLITE_CANTOPEN, StoreNotWritable),
        (apsw.SQLITE_PERM, StoreNotWritable),
        (apsw.SQLITE_IOERR_WRITE, StoreNotWritable),
        (apsw.SQLITE_IOERR_FSYNC, StoreNotWritable),
        (apsw.SQLITE_NOTADB, StoreVersionError),
        (apsw.SQLITE_IOERR_READ, StoreError),
        (apsw.SQLITE_CORRUPT, StoreError),
        (apsw.SQLITE_CONSTRAINT, StoreError),
        (apsw.SQLITE_SCHEMA, StoreError),
    ],
)
def test_each_code_has_its_error(code: int, expected: type[StoreError]) -> None:
    cause = apsw.exception_for(code)
    with pytest.raises(StoreError) as caught, translated(Path("some.db")):
        raise cause
    assert type(caught.value) is expected
    assert caught.value.__cause__ is cause
    assert "some.db" in caught.value.message
    assert caught.value.details["path"] == "some.db"


def test_a_store_that_is_held_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with SQLiteRepository(path, busy_timeout=0.1) as store:
        store.set_stamp(STAMP)
        holder = apsw.Connection(str(path))
        holder.execute("BEGIN IMMEDIATE").fetchall()
        with pytest.raises(StoreBusy) as caught:
            store.add([new_memory("a")])
        assert isinstance(caught.value.__cause__, apsw.BusyError)
        assert store.list() == []  # readers go on
        holder.execute("ROLLBACK").fetchall()
        store.add([new_memory("a")])
        holder.close()


def test_a_constraint_of_the_schema_rolls_everything_back(tmp_path: Path) -> None:
    with SQLiteRepository(tmp_path / "store.db") as store:
        store.set_stamp(STAMP)
        with store._writing() as session:
            session.run("add_keywords", seq=1, terms="x")
        with pytest.raises(StoreError) as caught:
            store.add([new_memory("a", terms=("x",), conversation="c")])
        assert isinstance(caught.value.__cause__, apsw.ConstraintError)
        assert store.list() == []
        assert store.revision() == 1
        assert store.check() == ["There are postings of 1 memories that are not there."]
