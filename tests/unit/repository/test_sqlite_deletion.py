"""Deletion really deletes: what was forgotten is in none of the store's files."""

import random
import re
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from aspen.repository import Mention, NewMemory, SQLiteRepository
from aspen.repository._sqlite._wiping import wiped
from aspen.testing.repository_builders import NEXT_STAMP, STAMP, new_memory, new_trace
from aspen.types import Edge


def bytes_of(path: Path) -> bytes:
    """All files of a store. By another process: closing a file here would drop this process's locks on it."""
    files = [str(file) for file in path.parent.glob(path.name + "*")]
    return subprocess.run(["cat", *files], check=True, capture_output=True).stdout


def marker(number: int) -> str:
    return f"secret{number:05}q"


def markers_in(content: bytes) -> set[int]:
    """The numbers whose marker stands in `content`, forwards or backwards."""
    forwards = {int(digits) for digits in re.findall(rb"secret(\d{5})q", content)}
    return forwards | {int(digits[::-1]) for digits in re.findall(rb"q(\d{5})terces", content)}


def marked_memory(number: int, padding: int, head_keys: int = 20) -> NewMemory:
    """A memory with its marker in every part that a store keeps."""
    word = marker(number)
    return new_memory(
        word + "i",
        f"{word}x " + "pad " * padding,
        terms=(word + "f", word[::-1] + "r", "common"),
        key=f"{word}k".encode() * 100,
        conversation=("a", "b", word + "c")[number % 3],
        speaker=word + "s",
        source=word + "o",
        trace_id=word + "t" if number % 7 == 0 else None,
        subject=word + "u",
        # Forwards and backwards: names that begin alike, and names that begin apart.
        mentions=(Mention(word + "m", 0, 3), Mention(word[::-1] + "n", 1, 2), Mention("common", 0, 3)),
        traits={word + "y": 0.5, "common": 1.0},
        head_keys=f"{word}h".encode() * head_keys,
    )


# With these numbers SQLite's own secure_delete leaves forgotten rows behind (measured with apsw 3.54.1).
@pytest.mark.parametrize(
    ("seed", "rounds", "count", "share"), [(1, 6, 400, 0.7), (2, 6, 400, 0.7), (2, 20, 60, 0.4)]
)
def test_what_was_forgotten_is_in_no_file(
    tmp_path: Path, seed: int, rounds: int, count: int, share: float
) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(seed)
    kept: list[int] = []
    gone: set[int] = set()
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        for first in range(0, rounds * count, count):
            added = [
                marked_memory(number, chance.choice([1, 30, 300]), chance.choice([1, 200, 1500]))
                for number in range(first, first + count)
            ]
            store.add([memory for memory in added if memory.trace_id is None])
            for memory in added:
                if memory.trace_id is not None:
                    trace = new_trace(memory.trace_id, memory.trace_id.encode() * chance.choice([1, 3000]))
                    store.add([memory], trace=trace)
            seqs = {memory.id: memory.seq for memory in store.get([memory.id for memory in added])}
            bodies = {seq: f"{id_[:-1]}g".encode() for id_, seq in seqs.items()}
            store.save_fragments(
                STAMP, {(seq, "x"): body * chance.choice([1, 200, 5000]) for seq, body in bodies.items()}
            )
            kept += range(first, first + count)
            victims = set(chance.sample(kept, int(len(kept) * share)))
            store.forget([marker(number) + "i" for number in victims])
            kept = [number for number in kept if number not in victims]
            gone |= victims
        assert store.check() == []
        assert markers_in(bytes_of(path)) == set(kept)
    assert not path.with_name("store.db-wal").exists()
    assert markers_in(bytes_of(path)) == set(kept)
    assert gone


def random_word(chance: random.Random) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyzéßж北京ไ🌱", k=20))


def pages_begin(path: Path) -> set[bytes]:
    """What FTS5 finds the pages of its index by: the beginnings of their first words, less the digit before each."""
    with closing(apsw.Connection(str(path))) as connection:
        rows = connection.execute("SELECT CAST(term AS BLOB) FROM keyword_idx").fetchall()
    return {bytes(term)[1:] for (term,) in rows if isinstance(term, bytes)} - {b""}


@pytest.mark.parametrize(("rounds", "count", "share"), [(4, 400, 0.7), (25, 20, 0.4), (1, 1500, 0.999)])
def test_the_index_of_words_keeps_nothing_of_a_word_that_was_forgotten(
    tmp_path: Path, rounds: int, count: int, share: float
) -> None:
    """Words alike would hide it: FTS5 writes only where a word differs from the one before it."""
    path = tmp_path / "store.db"
    chance = random.Random(7)
    kept: dict[str, str] = {}
    gone: dict[str, str] = {}
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        for _ in range(rounds):
            added = {random_word(chance): random_word(chance) for _ in range(count)}
            store.add([new_memory(name, terms=(word, "common", word)) for name, word in added.items()])
            kept |= added
            victims = chance.sample(list(kept), int(len(kept) * share))
            store.forget(victims)
            gone |= {name: kept.pop(name) for name in victims}
            content = bytes_of(path)
            assert [word for word in gone.values() if word[10:].encode() in content] == []
            live = [word.encode() for word in [*kept.values(), "common"]]
            for begin in pages_begin(path):
                assert any(word.startswith(begin) for word in live), begin
        assert store.check() == []
        words = list(kept.values())
        assert [len(found.seqs) for found in store.postings(words)] == [2] * len(words)


def test_old_keys_are_in_no_file_after_re_keying(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        memories = store.add(
            [
                new_memory(str(n), key=b"oldkey%04d" % n, head_keys=b"oldhead" * 7 * n or None)
                for n in range(600)
            ]
        )
        new = {memory.seq: b"newkey" * 9 for memory in memories}
        store.add_keys(NEXT_STAMP, new, head_keys={seq: b"newhead" * 700 for seq in new if seq % 2})
        store.save_fragments(STAMP, {(memory.seq, "x"): b"oldfragment" * 3000 for memory in memories[:50]})
        assert b"oldhead" in bytes_of(path)
        assert b"oldfragment" in bytes_of(path)
        store.activate(NEXT_STAMP)
        content = bytes_of(path)
        assert b"oldkey" not in content
        assert b"oldhead" not in content
        assert b"oldfragment" not in content
        assert b"newhead" in content


def test_no_connection_goes_on_with_pages_that_it_read_before(tmp_path: Path) -> None:
    with SQLiteRepository(tmp_path / "store.db") as store:
        store.set_stamp(STAMP)
        store.add([new_memory("a"), new_memory("b")])
        with store._pool.borrow() as busy:
            with store._pool.borrow() as idle:
                before = {busy.connection, idle.connection}
            store.forget(["a"])
        with store._pool.borrow() as one, store._pool.borrow() as other:
            assert not before & {one.connection, other.connection}
            assert one.connection is not other.connection


def test_a_reader_of_an_older_moment_delays_the_end_of_the_log_only(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        a, b, _ = store.add([new_memory("a", "secretword"), new_memory("b"), new_memory("c")])
        reader = apsw.Connection(str(path))
        reader.execute("BEGIN; SELECT * FROM memory LIMIT 1").fetchall()
        store.forget(["a"])
        assert b"secretword" in bytes_of(path)  # the reader may still see it
        reader.close()
        store.relate([Edge(b.seq, b.seq + 1, "x", 0.5)])  # the next write makes up for it
        assert b"secretword" not in bytes_of(path)
        assert a.seq < b.seq


def test_a_backup_holds_nothing_that_was_forgotten(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.db", tmp_path / "copy.db"
    with SQLiteRepository(path) as store:
        store.set_stamp(STAMP)
        memories = [replace(marked_memory(n, 1), id=marker(n), trace_id=None) for n in range(500)]
        store.add(memories)
        store.forget([marker(n) for n in range(0, 500, 2)])
        store.forget([marker(n) for n in range(1, 500, 4)])
        store.backup(str(copy))
    assert markers_in(bytes_of(copy)) == set(range(3, 500, 4))


def test_wiping_changes_nothing_but_the_gap() -> None:
    header = bytes([13]) + bytes(2) + (2).to_bytes(2, "big") + (1000).to_bytes(2, "big") + b"\x00"
    page = header + b"\x03\xf0\x03\xe8" + b"stale" * 300
    page = page[:1024].ljust(1024, b"x")
    clean = wiped(page, 4096)
    assert clean[:12] == page[:12]
    assert clean[12:1000] == bytes(988)
    assert clean[1000:] == page[1000:]
    first = wiped(bytes(100) + page[:924], 0)
    assert first[112:1000] == bytes(888)
    assert len(first) == 1024


@pytest.mark.parametrize(
    "page", [b"", b"\x00" * 1024, b"\x0d\x00\x00\xff\xff\x00\x01\x00" + b"x" * 1016, b"\x0d" * 100]
)
def test_wiping_leaves_other_pages_alone(page: bytes) -> None:
    assert wiped(page, 4096) == page
