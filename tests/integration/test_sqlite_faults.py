"""Kills, crowds, full and read-only disks: what was acknowledged is there, and nothing is half there."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from tests.integration.store_faults import chain, crowd, finish, finish_all, in_fork, kill_writers, start

from aspen.errors import StoreError, StoreNotWritable
from aspen.repository import SQLiteRepository
from aspen.testing.repository_builders import STAMP, new_memory

NOBODY = 65534


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    kill_writers(str(tmp_path / "store.db"), runs=8)


@pytest.mark.slow
def test_two_processes_of_several_threads_share_a_store(tmp_path: Path) -> None:
    crowd(str(tmp_path / "store.db"))


@pytest.mark.slow
def test_six_processes_create_one_store(tmp_path: Path) -> None:
    for number in range(2):
        path = tmp_path / f"store{number}.db"
        assert finish_all(start("create", path) for _ in range(6)) == ["[]\n"] * 6


@pytest.mark.parametrize("statement", ["PRAGMA page_size = 16384", "BEGIN IMMEDIATE; CREATE TABLE meta (x)"])
def test_a_process_that_died_while_creating_is_not_in_the_way(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "store.db"
    connection = apsw.Connection(str(path))
    connection.execute(statement).fetchall()
    connection.close()  # rolls back, as recovery after a kill does
    with SQLiteRepository(path) as store:
        assert store.check() == []


@pytest.mark.slow
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    assert finish(start("fill_limit", tmp_path / "store.db")) == "sound\n"


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=8m none '{tmp_path}'"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    inside = ("unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh")
    assert finish(start("fill_disk", tmp_path / "store.db", prefix=inside)) == "sound\n"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="aspen-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def look_as_nobody(path: Path) -> str:
    """What a user without rights finds, and what writing brings; root would be let through everywhere."""

    def look() -> str:
        try:
            with SQLiteRepository(path) as store:
                words = len(store.postings(["x"])[0].seqs)
                seen = f"writable={store.writable} memories={len(store.list())} words={words} check={store.check()}"
                with pytest.raises(StoreNotWritable):
                    store.add([new_memory("new")])
                return seen
        except StoreError as error:
            return f"{type(error).__name__}: {error}"

    return in_fork(look, user=NOBODY if os.geteuid() == 0 else None)


READ = "writable=False memories=3 words=3 check=[]"


def filled(path: Path) -> SQLiteRepository:
    store = SQLiteRepository(path)
    store.set_stamp(STAMP)
    store.add([new_memory(f"m{n}", terms=("x",)) for n in range(3)])
    return store


def test_a_read_only_file_is_read(open_folder: Path) -> None:
    path = open_folder / "store.db"
    filled(path).close()
    path.chmod(0o444)
    open_folder.chmod(0o777)
    assert look_as_nobody(path) == READ


def test_a_store_in_a_read_only_folder_is_read(open_folder: Path) -> None:
    path = open_folder / "store.db"
    filled(path).close()
    path.chmod(0o666)
    open_folder.chmod(0o555)
    assert look_as_nobody(path) == READ


def test_a_read_only_store_is_read_while_another_user_writes(open_folder: Path) -> None:
    path = open_folder / "store.db"
    with filled(path) as store:
        for file in open_folder.iterdir():
            file.chmod(0o644)
        open_folder.chmod(0o555)
        assert look_as_nobody(path) == READ
        assert len(store.list()) == 3


def test_no_store_can_be_made_in_a_read_only_folder(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    assert look_as_nobody(open_folder / "store.db").startswith("StoreNotWritable: The store")
    assert not list(open_folder.iterdir())


def test_a_file_that_may_not_be_read(open_folder: Path) -> None:
    path = open_folder / "store.db"
    filled(path).close()
    path.chmod(0o000)
    assert look_as_nobody(path).startswith("StoreNotWritable: The store")


def test_a_fork_uses_connections_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with filled(path) as store:
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                store.add([new_memory(f"thread{number}", conversation="c")])

        writer = threading.Thread(target=write)
        writer.start()

        def child() -> str:
            seqs = [store.add([new_memory(f"{os.getpid()}-{n}", conversation="c")])[0].seq for n in range(20)]
            store.close()
            return f"{len(seqs)} {store.location == str(path)}"

        try:
            for _ in range(5):
                assert in_fork(child) == "20 True"
                store.add([new_memory(f"parent{time.monotonic_ns()}", conversation="c")])
        finally:
            stop.set()
            writer.join()
        assert store.check() == []
        assert len(store.list(limit=10_000)) > 5 * 21
        seqs = sorted(memory.seq for memory in store.list(conversation="c", limit=10_000))
        assert chain(store, "c") == list(pairwise(seqs))


def test_a_second_opening_in_one_process_keeps_its_locks(tmp_path: Path) -> None:
    """Closing one store must not drop the locks of the other: POSIX locks belong to the process."""
    path = tmp_path / "store.db"
    with filled(path) as store:
        SQLiteRepository(path).close()
        with store._writing() as session:
            session.run("next_revision")
            assert finish(start("try_to_write", path)) == "StoreBusy\n"
