"""Kills, crowds, full and read-only disks: what was acknowledged is there, and nothing is half there."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from tests.integration.sqlite_worker import HEAD_KEY_SIZE, KEY_SIZE, own_term

from aspen.errors import StoreError, StoreNotWritable
from aspen.repository import SQLiteRepository, edges_of
from aspen.testing.repository_builders import STAMP, new_key, new_memory

WORKER = Path(__file__).with_name("sqlite_worker.py")
NOBODY = 65534


def start(*arguments: object, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [*prefix, sys.executable, str(WORKER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", timeout: float = 120) -> str:
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors
    return output


def chain(store: SQLiteRepository, conversation: str) -> list[tuple[int, int]]:
    seqs = {memory.seq for memory in store.list(conversation=conversation, limit=10_000)}
    return [(edge.source, edge.target) for edge in edges_of(store.changes(0).edges) if edge.source in seqs]


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(5)
    acknowledged: list[str] = []
    gone: set[str] = set()
    for number in range(8):
        process = start("add_for_ever", path, f"r{number}")
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # it is past its imports
        killer = threading.Timer(chance.uniform(0.0, 0.6), process.kill)
        killer.start()
        lines += process.stdout.readlines()
        process.wait()
        killer.join()
        process.communicate()
        assert process.returncode == -9
        whole = [line.strip() for line in lines if line.endswith("\n")]
        acknowledged += [line for line in whole if not line.startswith("gone ")]
        gone |= {line.removeprefix("gone ") for line in whole if line.startswith("gone ")}
        with SQLiteRepository(path) as store:
            check_all_there(store, acknowledged, gone)
    assert len(acknowledged) > 50
    assert gone


def check_all_there(store: SQLiteRepository, acknowledged: list[str], gone: set[str]) -> None:
    assert store.check() == []
    assert store.known(sorted(gone)) == set()
    # A memory of which "gone" was not printed any more may have been forgotten all the same.
    unsure = {name for name in acknowledged if int(name.partition("-")[2]) % 7 == 0}
    kept = [name for name in acknowledged if name not in unsure]
    memories = store.get(kept)
    changes = store.changes(0)
    rows = changes.memories
    keys = {seq: key.tobytes() for seq, key in zip(rows.seqs.tolist(), rows.keys, strict=True)}
    head_keys = store.head_keys(rows.seqs.tolist())
    traits = dict(zip(changes.traits.seqs.tolist(), changes.traits.names, strict=True))
    assert keys.keys() == head_keys.keys() == traits.keys()
    for memory in memories:
        assert keys[memory.seq] == new_key(memory.id, size=KEY_SIZE)
        assert head_keys[memory.seq] == new_key(memory.id, size=HEAD_KEY_SIZE)
        assert traits[memory.seq] == own_term(memory.id)
        assert store.trace(f"trace-{memory.id}") == memory.id.encode() * 2000
    own, seqs = [own_term(name) for name in kept], [memory.seq for memory in memories]
    assert [found.seqs.tolist() for found in store.postings(own)] == [[seq] for seq in seqs]
    for find in (store.mentioning, store.about):
        assert find(own, limit=2).seqs.tolist() == seqs
    assert store.mentions(seqs).names == [name for term in own for name in ("common", term)]
    edges = set(chain(store, "c"))
    for before, after in pairwise(memories):
        if after.seq == before.seq + 1:
            assert (before.seq, after.seq) in edges


@pytest.mark.slow
def test_two_processes_of_several_threads_share_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    processes = [start("add_in_threads", path, f"p{number}", 4, 30) for number in range(2)]
    for process in processes:
        finish(process)
    with SQLiteRepository(path) as store:
        assert store.check() == []
        assert store.stats().memories == 2 * 4 * 30
        assert store.revision() == 2 * 4 * 30 + 1  # one more for the stamp
        for conversation in ("c0", "c1"):
            seqs = sorted(memory.seq for memory in store.list(conversation=conversation, limit=10_000))
            assert len(seqs) == 2 * 4 * 15
            assert chain(store, conversation) == list(pairwise(seqs))


@pytest.mark.slow
def test_six_processes_create_one_store(tmp_path: Path) -> None:
    for number in range(2):
        path = tmp_path / f"store{number}.db"
        processes = [start("create", path) for _ in range(6)]
        assert [finish(process) for process in processes] == ["[]\n"] * 6


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


def in_fork(action: Callable[[], str], *, user: int | None = None) -> str:
    """What `action` returns in a forked child, which runs as another user where one is given."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: the test runner has threads
        child = os.fork()
    if child == 0:
        try:
            if user is not None:
                os.setgid(user)
                os.setuid(user)
            os.write(writer, action().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    os.waitpid(child, 0)
    return text


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
