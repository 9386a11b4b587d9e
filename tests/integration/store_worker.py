"""A process that uses a store, for the tests that kill it, crowd it, or take its disk away.

Usage: store_worker.py COMMAND LOCATION [ARGUMENT...]
"""

import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aspen.errors import AspenError, StoreNotWritable
from aspen.repository import Mention, Repository, open_repository
from aspen.testing.repository_builders import STAMP, new_key, new_memory, new_trace

KEY_SIZE = 2900
HEAD_KEY_SIZE = 5000


def own_term(name: str) -> str:
    """The term, the mentioned name, the subject and the trait that only the memory of this name has."""
    return "only" + name.replace("-", "_")


def add_one(store: Repository, name: str, conversation: str = "c") -> None:
    """A memory with a trace and all that a memory can have, each of its own."""
    own = own_term(name)
    store.add(
        [
            new_memory(
                name,
                conversation=conversation,
                terms=("common", own),
                key=new_key(name, size=KEY_SIZE),
                trace_id=f"trace-{name}",
                subject=own,
                mentions=(Mention("common", 0, 2), Mention(own, 0, 2)),
                traits={own: 0.5},
                head_keys=new_key(name, size=HEAD_KEY_SIZE),
            )
        ],
        trace=new_trace(f"trace-{name}", name.encode() * 2000),
    )


def add_for_ever(location: str, prefix: str) -> None:
    """Print each id when its `add` has returned."""
    with open_repository(location) as store:
        store.set_stamp(STAMP)
        number = 0
        while True:
            number += 1
            add_one(store, f"{prefix}-{number}")
            print(f"{prefix}-{number}", flush=True)
            if number % 7 == 0:  # forgetting truncates the log: another moment to die at
                store.forget([f"{prefix}-{number}"])
                print(f"gone {prefix}-{number}", flush=True)


def add_in_threads(location: str, prefix: str, threads: str, count: str) -> None:
    """Several threads, two conversations."""
    with open_repository(location, busy_timeout=60) as store:
        store.set_stamp(STAMP)
        revisions: list[list[int]] = [[] for _ in range(int(threads))]

        def work(thread: int) -> None:
            for number in range(int(count)):
                add_one(store, f"{prefix}-{thread}-{number}", conversation=f"c{number % 2}")
                revisions[thread].append(store.revision())

        with ThreadPoolExecutor(int(threads)) as pool:
            list(pool.map(work, range(int(threads))))
        assert all(seen == sorted(set(seen)) for seen in revisions)


def create(location: str) -> None:
    """Open a store that others create at this moment."""
    with open_repository(location) as store:
        store.set_stamp(STAMP)
        print(store.check())


def _add_until_full(store: Repository) -> int:
    for number in range(100_000):
        try:
            add_one(store, f"m{number}")
        except StoreNotWritable:
            return number
    raise AssertionError("the disk never became full")


def fill_limit(location: str) -> None:
    """A limit on the size of files stands for the full disk; then it is lifted."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_repository(location) as store:
        store.set_stamp(STAMP)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, resource.RLIM_INFINITY))
        number = _add_until_full(store)
        _check_full(store, number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        add_one(store, f"m{number}")
    _check_after(location, number + 1)


def fill_disk(location: str) -> None:
    """A real full disk, with a file on it that can be removed."""
    ballast = Path(location).with_name("ballast")
    ballast.write_bytes(bytes(2_000_000))
    with open_repository(location) as store:
        store.set_stamp(STAMP)
        number = _add_until_full(store)
        _check_full(store, number)
        ballast.unlink()
        add_one(store, f"m{number}")
    _check_after(location, number + 1)


def _check_full(store: Repository, number: int) -> None:
    """Nothing is half-written, reading goes on, and the next attempt fails the same way."""
    assert number > 10, number
    assert store.stats().memories == store.stats().traces == number
    assert len(store.postings(["common"])[0].seqs) == number
    assert len(store.mentioning(["common"], limit=10_000).seqs) == number
    assert len(store.changes(0).traits.seqs) == number
    assert len(store.head_keys([memory.seq for memory in store.list(limit=10_000)])) == number
    revision = store.revision()
    try:
        store.add([new_memory(f"more{n}", key=new_key("x", size=KEY_SIZE)) for n in range(2000)])
    except StoreNotWritable as error:
        assert error.hint
    else:
        raise AssertionError("the disk has room again")
    assert store.revision() == revision


def _check_after(location: str, count: int) -> None:
    with open_repository(location) as store:
        assert store.stats().memories == count
        assert store.check() == []
        print("sound")


def try_to_write(location: str) -> None:
    """Say what writing brings while another process holds the store."""
    try:
        with open_repository(location, busy_timeout=0.1) as store:
            add_one(store, "new")
    except AspenError as error:
        print(type(error).__name__)


if __name__ == "__main__":
    command, location, *arguments = sys.argv[1:]
    globals()[command](location, *arguments)
