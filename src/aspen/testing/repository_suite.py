"""The contract of `aspen.repository.interface`, as tests that any store can be put through.

Who writes a store subclasses `RepositoryContract` and gives the `open_store` fixture; `repository_machine` makes a
Hypothesis state machine that compares a store with `InMemoryRepository` after every step. Needs the extra
`testing`.
"""

# ruff: noqa: D102  # the name of a test says what must hold

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from aspen.errors import InvalidInput, StoreError
from aspen.repository import NEXT, NO_TIME, Mention, Repository, edges_of
from aspen.testing._amending_contract import AmendingContract
from aspen.testing._browsing_contract import BrowsingContract
from aspen.testing._edge_contract import EdgeContract
from aspen.testing._fragment_contract import FragmentContract
from aspen.testing._key_contract import KeyContract
from aspen.testing._keyword_contract import KeywordContract
from aspen.testing._memory_contract import MemoryContract
from aspen.testing._name_contract import NameContract
from aspen.testing._spreading_contract import SpreadingContract
from aspen.testing._trace_contract import TraceContract
from aspen.testing.repository_builders import (
    NEXT_STAMP,
    NOON,
    STAMP,
    OpenStore,
    new_key,
    new_memory,
    new_trace,
)
from aspen.types import Edge


class RepositoryContract(
    MemoryContract,
    BrowsingContract,
    AmendingContract,
    TraceContract,
    KeywordContract,
    NameContract,
    EdgeContract,
    SpreadingContract,
    KeyContract,
    FragmentContract,
):
    """Subclass it in a test module as `TestMyStore` and override `open_store`."""

    durable = True
    """Whether what was written is there when the store is opened again."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens one and the same store, empty at first, any number of times."""
        raise NotImplementedError("a contract test needs an open_store fixture")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Repository]:
        """A new store with a stamp."""
        with open_store() as store:
            store.set_stamp(STAMP)
            yield store

    def test_columns(self, store: Repository) -> None:
        a, b = store.add(
            [
                new_memory("a", conversation="c", said_at=NOON),
                new_memory("b", terms=("x", "x"), subject="s", speaker="Zoë"),
            ]
        )
        rows = store.changes(0).memories
        assert rows.seqs.tolist() == [a.seq, b.seq]
        assert rows.conversations == ["c", None]
        assert rows.subjects == [None, "s"]
        assert rows.speakers == [None, "Zoë"]
        assert rows.provenances == ["said", "said"]
        assert rows.said_at.tolist() == [int(NOON.timestamp()) * 1_000_000, NO_TIME]
        assert rows.token_counts.tolist() == [7, 7]
        assert rows.term_counts.tolist() == [0, 2]
        assert rows.keys.tobytes() == new_key("a") + new_key("b")
        dtypes = [rows.seqs.dtype, rows.said_at.dtype, rows.token_counts.dtype, rows.keys.dtype]
        assert dtypes == [np.int64, np.int64, np.int32, np.uint8]

    def test_changes_since_a_revision(self, store: Repository) -> None:
        a, b = store.add([new_memory("a", conversation="c"), new_memory("b", conversation="c")])
        seen = store.changes(0)
        assert seen.revision == store.revision()
        nothing = store.changes(seen.revision)
        assert len(nothing.memories.seqs) == len(nothing.edges.sources) == len(nothing.forgotten) == 0
        assert nothing.memories.keys.shape == (0, 8)
        store.relate([Edge(b.seq, a.seq, "causes", 0.5)])
        (c,) = store.add([new_memory("c", conversation="c"), new_memory("d")])[:1]
        store.forget(["d", "a"])
        changes = store.changes(seen.revision)
        assert changes.memories.seqs.tolist() == [c.seq]
        assert edges_of(changes.edges) == [Edge(b.seq, c.seq, NEXT, 1.0)]
        assert changes.forgotten.tolist() == [a.seq, c.seq + 1]
        assert store.changes(0).forgotten.tolist() == []
        store.forget(["b"])
        last = store.changes(changes.revision)
        assert last.forgotten.tolist() == [b.seq]
        assert len(last.memories.seqs) == len(last.edges.sources) == 0

    @pytest.mark.parametrize("since", [-1, 10**6, 2**70, 1.0, None])
    def test_revisions_that_the_store_has_not_reached_are_refused(
        self, store: Repository, since: int
    ) -> None:
        with pytest.raises(InvalidInput):
            store.changes(since)

    def test_every_writing_call_is_one_revision(self, store: Repository) -> None:
        revisions = [store.revision()]
        a, b = store.add([new_memory("a", conversation="c"), new_memory("b", conversation="c")])
        revisions.append(store.revision())
        store.relate([Edge(a.seq, b.seq, "x", 0.1), Edge(b.seq, a.seq, "x", 0.1)])
        revisions.append(store.revision())
        store.add_keys(NEXT_STAMP, {a.seq: b"1", b.seq: b"2"})
        revisions.append(store.revision())
        store.activate(NEXT_STAMP)
        revisions.append(store.revision())
        store.forget(["a", "b"])
        revisions.append(store.revision())
        assert all(after == before + 1 for before, after in pairwise(revisions))

    def test_stats_count(self, store: Repository) -> None:
        store.add(
            [
                new_memory("a", conversation="c", terms=("x",), trace_id="t"),
                new_memory("b", conversation="c"),
            ],
            trace=new_trace("t"),
        )
        store.add([new_memory("c")])
        stats = store.stats()
        assert (stats.memories, stats.traces, stats.edges, stats.conversations) == (3, 1, 1, 1)
        parts = {"text", "keys", "fragments", "traces", "edges", "keywords", "names", "file"}
        assert set(stats.bytes) == parts
        assert all(size >= 0 for size in stats.bytes.values())

    def test_every_part_grows_with_what_is_stored(self, store: Repository) -> None:
        before = store.stats().bytes
        store.add(
            [
                new_memory(
                    f"m{number}",
                    "x" * 1000,
                    conversation="c",
                    terms=("x",) * 100,
                    head_keys=b"h" * 1000,
                    subject="s",
                    mentions=tuple(Mention(f"{name}{number}", 0, 1) for name in range(40)),
                    traits={"t": 0.5},
                    trace_id="t",
                )
                for number in range(400)
            ],
            trace=new_trace("t", b"x" * 20_000),
        )
        after = store.stats().bytes
        grown = {part for part in after if after[part] > before[part]}
        assert grown >= {"text", "keys", "traces", "keywords", "names"}
        assert after["keys"] - before["keys"] > 400 * 1000

    def test_what_was_written_is_there_after_reopening(self, open_store: OpenStore) -> None:
        if not self.durable:
            pytest.skip("this store keeps nothing")
        with open_store() as store:
            store.set_stamp(STAMP)
            parts: dict[str, Any] = {
                "subject": "s",
                "mentions": (Mention("n", 0, 1),),
                "traits": {"t": 0.5},
                "head_keys": b"h",
            }
            memories = store.add([new_memory(id_, conversation="c", terms=("x",), **parts) for id_ in "ab"])
            assert store.save_statistics("mean", b"1", as_of=store.revision())
            store.save_fragments(STAMP, {(memories[0].seq, "x"): b"f"})
            revision = store.revision()
        with open_store() as store:
            assert store.get(["a", "b"]) == memories
            assert store.stamp() == STAMP
            assert store.statistics("mean") == b"1"
            seqs = [memory.seq for memory in memories]
            assert store.postings(["x"])[0].seqs.tolist() == seqs
            assert store.about(["s"], limit=5).seqs.tolist() == seqs
            assert store.mentioning(["n"], limit=5).seqs.tolist() == seqs
            assert store.changes(0).traits.seqs.tolist() == seqs
            assert list(store.head_keys(seqs)) == seqs
            assert store.fragments([(seqs[0], "x")]) == {(seqs[0], "x"): b"f"}
            assert len(store.changes(0).edges.sources) == 1
            assert store.revision() == revision
            assert store.check() == []

    def test_two_openings_are_one_store(self, open_store: OpenStore) -> None:
        if not self.durable:
            pytest.skip("each opening of this store is its own")
        with open_store() as one, open_store() as other:
            one.set_stamp(STAMP)
            one.add([new_memory("a", conversation="c")])
            other.add([new_memory("b", conversation="c")])
            assert [memory.id for memory in one.list()] == ["b", "a"]
            assert one.revision() == other.revision() == 3

    def test_a_closed_store_says_so(self, open_store: OpenStore) -> None:
        store = open_store()
        store.close()
        store.close()
        for call in (store.stamp, store.revision, store.conversations, store.stats, store.check):
            with pytest.raises(StoreError, match="closed"):
                call()

    def test_threads_share_a_store(self, store: Repository) -> None:
        def work(worker: int) -> None:
            for number in range(10):
                store.add([new_memory(f"{worker}-{number}", conversation="c", terms=("x",))])
                store.changes(0)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        seqs = store.changes(0).memories.seqs.tolist()
        assert len(seqs) == 80
        chain = [(edge.source, edge.target) for edge in edges_of(store.changes(0).edges)]
        assert chain == list(pairwise(seqs))
        assert store.revision() == 81
        assert store.check() == []
