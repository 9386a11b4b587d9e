"""What the fault tests of stores share: workers that are killed or crowded, and looking at what they leave behind."""

import os
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

from tests.integration.store_worker import HEAD_KEY_SIZE, KEY_SIZE, own_term

from aspen.repository import Repository, edges_of, open_repository
from aspen.testing.repository_builders import new_key

WORKER = Path(__file__).with_name("store_worker.py")


def start(*arguments: object, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [*prefix, sys.executable, str(WORKER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", timeout: float = 120) -> str:
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors
    return output


def chain(store: Repository, conversation: str) -> list[tuple[int, int]]:
    seqs = {memory.seq for memory in store.list(conversation=conversation, limit=10_000)}
    return [(edge.source, edge.target) for edge in edges_of(store.changes(0).edges) if edge.source in seqs]


def check_all_there(store: Repository, acknowledged: list[str], gone: set[str]) -> None:
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


def kill_writers(location: str, *, runs: int) -> None:
    """Kill one writer after the other; what each has acknowledged must be there, and nothing half."""
    chance = random.Random(5)
    acknowledged: list[str] = []
    gone: set[str] = set()
    for number in range(runs):
        process = start("add_for_ever", location, f"r{number}")
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
        with open_repository(location) as store:
            check_all_there(store, acknowledged, gone)
    assert len(acknowledged) > 6 * runs
    assert gone


def crowd(location: str) -> None:
    """Two processes of several threads write at once."""
    finish_all([start("add_in_threads", location, f"p{number}", 4, 30) for number in range(2)])
    with open_repository(location) as store:
        assert store.check() == []
        assert store.stats().memories == 2 * 4 * 30
        assert store.revision() == 2 * 4 * 30 + 1  # one more for the stamp
        for conversation in ("c0", "c1"):
            seqs = sorted(memory.seq for memory in store.list(conversation=conversation, limit=10_000))
            assert len(seqs) == 2 * 4 * 15
            assert chain(store, conversation) == list(pairwise(seqs))


def finish_all(processes: "Iterable[subprocess.Popen[str]]") -> list[str]:
    """What all of them print; they run at the same time."""
    return [finish(process) for process in list(processes)]


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
