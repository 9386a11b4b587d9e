"""Kills, crashes, crowds, forks and cut lines: what was acknowledged is there, and nothing is half there."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from tests.integration.store_faults import (
    chain,
    check_all_there,
    crowd,
    finish_all,
    in_fork,
    kill_writers,
    start,
)

from aspen.errors import StoreError
from aspen.repository import open_repository
from aspen.repository._postgres import PostgresRepository
from aspen.testing.postgres_server import PostgresServer
from aspen.testing.repository_builders import STAMP, new_memory
from aspen.testing.repository_machine import Mirror


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(new_postgres_url: Callable[..., str]) -> None:
    kill_writers(new_postgres_url(), runs=5)


@pytest.mark.slow
def test_two_processes_of_several_threads_share_a_store(new_postgres_url: Callable[..., str]) -> None:
    crowd(new_postgres_url())


@pytest.mark.slow
def test_six_processes_create_one_store(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.new_database())
    assert finish_all(start("create", url) for _ in range(6)) == ["[]\n"] * 6


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_crash_of_the_server(
    new_postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    url = new_postgres_url()
    process = start("add_for_ever", url, "r1")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(25)]
    postgres_server.stop("immediate")
    try:
        lines += process.stdout.readlines()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "no connection to the store" in errors or "has not said since" in errors
    finally:
        postgres_server.start()
    whole = [line.strip() for line in lines if line.endswith("\n")]
    gone = {line.removeprefix("gone ") for line in whole if line.startswith("gone ")}
    with open_repository(url) as store:
        check_all_there(store, [line for line in whole if not line.startswith("gone ")], gone)


@pytest.mark.slow
def test_an_open_store_outlives_its_server(
    new_postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    with PostgresRepository(new_postgres_url(), busy_timeout=2) as store:
        store.set_stamp(STAMP)
        for stop in ("fast", "immediate"):
            before = [memory.id for memory in store.add([new_memory(f"before {stop}")])]
            postgres_server.stop(stop)
            try:
                for _ in range(2):
                    with pytest.raises(StoreError, match="no connection"):
                        store.list()
                with pytest.raises(StoreError, match="no connection"):
                    store.add([new_memory("while it is gone")])
            finally:
                postgres_server.start()
            assert [memory.id for memory in store.get(before)] == before
            store.add([new_memory(f"after {stop}")])
        assert store.known(["while it is gone"]) == set()
        assert store.check() == []


def test_a_restart_between_two_calls_is_not_noticed(
    new_postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    with PostgresRepository(new_postgres_url()) as store:
        store.set_stamp(STAMP)
        store.list()
        postgres_server.stop()
        postgres_server.start()
        store.add([new_memory("a")])
        assert [memory.id for memory in store.list()] == ["a"]


def test_a_fork_uses_connections_of_its_own(new_postgres_url: Callable[..., str]) -> None:
    with PostgresRepository(new_postgres_url()) as store:
        store.set_stamp(STAMP)
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                store.add([new_memory(f"thread{number}", conversation="c")])

        def backend() -> int:
            with store._pool.reading() as session:
                return session._connection.info.backend_pid

        def child() -> str:
            added = [
                store.add([new_memory(f"{os.getpid()}-{n}", conversation="c")])[0].seq for n in range(10)
            ]
            pid = backend()
            store.close()
            return f"{len(added)} {pid}"

        with store._pool.reading(), store._pool.reading():
            pass  # two connections at least
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(4):
                before = {backend() for _ in range(5)}
                count, of_child = in_fork(child).split()
                assert count == "10"
                assert int(of_child) not in before
                assert backend() in before | {backend()}
                store.add([new_memory(f"parent{time.monotonic_ns()}", conversation="c")])
        finally:
            stop.set()
            writer.join()
        assert store._pool._connections is not None
        assert store._pool._connections.get_stats().get("connections_lost", 0) == 0
        assert store._pool._connections.get_stats().get("returns_bad", 0) == 0
        assert store.check() == []
        seqs = sorted(memory.seq for memory in store.list(conversation="c", limit=10_000))
        assert len(seqs) > 4 * 11
        assert chain(store, "c") == list(pairwise(seqs))


@pytest.mark.slow
def test_changes_are_exact_while_others_write(new_postgres_url: Callable[..., str]) -> None:
    """Who follows revision by revision ends with what is there, whoever made the revisions."""
    url = new_postgres_url()
    with PostgresRepository(url) as store, PostgresRepository(url) as other:
        store.set_stamp(STAMP)
        done = threading.Event()

        def write(repository: PostgresRepository, prefix: str) -> None:
            for number in range(40):
                repository.add(
                    [new_memory(f"{prefix}{number}", conversation="c", terms=("x",), traits={"t": 0.5})]
                )
                if number % 3 == 2:
                    repository.forget([f"{prefix}{number - 1}"])

        writers = [
            threading.Thread(target=write, args=(repository, f"{name}{part}"))
            for name, repository in (("a", store), ("b", other))
            for part in range(2)
        ]
        mirror, followed = Mirror(), 0
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            mirror.apply(store.changes(mirror.revision))
            followed += 1
        done.set()
        mirror.apply(store.changes(mirror.revision))
        whole = Mirror()
        whole.apply(store.changes(0))
    assert followed > 20
    assert (mirror.revision, mirror.rows, mirror.edges) == (whole.revision, whole.rows, whole.edges)
    assert sorted(mirror.traits) == sorted(whole.traits)
    assert len(whole.rows) == 4 * 40 - 4 * 13


class Line:
    """A socket before the server's that can be cut when a transaction ends."""

    def __init__(self, server: str, folder: Path) -> None:
        self.cut = ""
        """ "before" or "after" the server got the COMMIT; "for good": and let nobody in again."""
        self._server = server
        self._door = folder / ".s.PGSQL.5432"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._door))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        with client, server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    try:
                        data = client.recv(65536) if key.fileobj is client else server.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    if key.fileobj is client and b"COMMIT\x00" in data and self.cut:
                        if self.cut == "for good":
                            self._door.unlink()
                        if self.cut != "before":
                            server.sendall(data)
                            server.recv(65536)  # it is written
                        self.cut = ""
                        return
                    key.data.sendall(data)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def line(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Line]:
    line = Line(str(postgres_server.data.parent / ".s.PGSQL.5432"), tmp_path)
    yield line
    line.close()


@pytest.mark.parametrize("cut", ["before", "after", "for good"])
def test_a_line_that_is_cut_at_the_end_of_a_transaction(
    new_postgres_url: Callable[..., str],
    postgres_server: PostgresServer,
    line: Line,
    tmp_path: Path,
    cut: str,
) -> None:
    """The answer to a COMMIT never came: the server is asked what became of it."""
    url = new_postgres_url()
    through_line = url.replace(
        quote(str(postgres_server.data.parent), safe=""), quote(str(tmp_path), safe="")
    )
    with PostgresRepository(through_line, busy_timeout=2) as store:
        store.set_stamp(STAMP)
        line.cut = cut
        if cut == "after":
            (memory,) = store.add([new_memory("a")])
            assert memory.seq == 1
        else:
            expected = "no connection" if cut == "before" else "has not said since"
            with pytest.raises(StoreError, match=expected) as caught:
                store.add([new_memory("a")])
            assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        assert line.cut == ""
        if cut != "for good":
            store.add([new_memory("b")])
    with PostgresRepository(url) as store:
        assert [memory.id for memory in store.list()] == {"before": ["b"], "after": ["b", "a"]}.get(
            cut, ["a"]
        )
        assert store.check() == []
