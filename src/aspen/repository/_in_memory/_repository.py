"""A store in plain dictionaries: for tests and trials, and the oracle that every other store is compared with."""

from __future__ import annotations

import builtins
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from aspen.errors import InvalidInput
from aspen.repository import _changing as changing
from aspen.repository import _incoming as incoming
from aspen.repository._in_memory._browsing_store import BrowsingStore
from aspen.repository._in_memory._columns import access_rows, edge_rows, memory_rows, trait_rows
from aspen.repository._in_memory._key_store import KeyStore
from aspen.repository.values import (
    CORRECTED,
    NEXT,
    Attached,
    Changes,
    EdgeRows,
    KeyStamp,
    MemoryRows,
    MentionRows,
    NewMemory,
    NewTrace,
    Postings,
    StoreStats,
    TraceInfo,
)
from aspen.types import Edge, Memory, Relation


class InMemoryRepository(BrowsingStore, KeyStore):
    """Keeps everything in dictionaries behind one lock. Nothing survives `close`."""

    # Memories

    def add(
        self,
        memories: Sequence[NewMemory],
        *,
        trace: NewTrace | None = None,
        stamp: KeyStamp | None = None,
        relations: Sequence[Relation] = (),
        versions: Mapping[str, int] | None = None,
    ) -> list[Memory]:
        checked = [incoming.checked_memory(new) for new in memories]
        trace = incoming.checked_trace(trace, memories) if trace else None
        changing.check_relations(relations)
        with self._lock:
            self._check_versions(versions)
            if not memories and not relations:
                return []
            current = incoming.current_stamp(self._stamp, stamp, location=self.location)
            incoming.check_keys([new.key for new in memories], self._keys.length(self._stamp))
            coming = trace.info.id if trace else None
            for new in memories:
                if new.trace_id not in (None, coming) and new.trace_id not in self._traces:
                    raise incoming.unknown("trace", new.trace_id)
            for mention in trace.mentions if trace else ():
                if not self._memories.knows(mention) and mention not in {memory.id for memory in checked}:
                    raise incoming.unknown("memory", mention)
            for end in changing.ends_of(relations):
                if not self._memories.knows(end) and end not in {memory.id for memory in checked}:
                    raise incoming.unknown("memory", end)
            if relations or not all(self._memories.knows(new.id) for new in memories):
                self._revision += 1
            for new, memory in zip(memories, checked, strict=True):
                if not self._memories.knows(memory.id):
                    self._add_one(current, new, memory)
                    if trace and memory.trace_id == coming:
                        self._traces.add(trace)
            ends = {memory.id: memory.seq for memory in self.get(changing.ends_of(relations))}
            self._put_edges(changing.edges_between(relations, ends))
            return self.get([new.id for new in memories])

    def amend(self, memory_id: str, fields: Mapping[str, object], *, version: int | None = None) -> Memory:
        checked = changing.checked_amendment(fields)
        with self._lock:
            (memory,) = self.get([memory_id])
            amended = changing.amended(memory, checked, version=version)
            if amended != memory:
                self._revision += 1
                self._memories.put(amended)
                self._row_revisions[memory.seq] = self._revision
            return amended

    def _check_versions(self, versions: Mapping[str, int] | None) -> None:
        if versions:
            changing.check_versions(versions, {memory.id: memory for memory in self.get(list(versions))})

    def attached(self, ids: Sequence[str]) -> Attached:
        with self._lock:
            memories = self.get(ids)
            referred = {memory.trace_id for memory in memories if memory.trace_id is not None}
            lost = self._traces.of(referred, mentioning={memory.id for memory in memories})
            infos = self._traces.newest_first(conversation=None, seed=None)
            traces = tuple(info for info in infos if info.id in lost)
            return Attached(traces, self._edges.count({memory.seq for memory in memories}))

    def _add_one(self, stamp: KeyStamp, new: NewMemory, memory: Memory) -> None:
        before = self._memories.last_of(memory.conversation) if memory.conversation is not None else None
        seq = self._memories.add(memory)
        if before is not None:
            self._edges.put(Edge(before, seq, NEXT, 1.0), self._revision)
        self._terms.add(seq, new.terms)
        self._names.add(seq, new)
        head_keys = {} if new.head_keys is None else {seq: new.head_keys}
        self._keys.put(stamp, {seq: new.key}, head_keys=head_keys, traits={seq: new.traits})
        self._row_revisions[seq] = self._revision

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._lock:
            return {memory_id for memory_id in ids if self._memories.knows(memory_id)}

    def get(self, ids: Sequence[str]) -> list[Memory]:
        with self._lock:
            return self._memories.get(ids)

    def get_by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        with self._lock:
            return self._memories.by_seq(seqs)

    def touch(self, seqs: Sequence[int], *, at: datetime) -> None:
        time = incoming.required_time(at, what="at")
        with self._lock:
            touched = self._memories.touch(incoming.storable_seqs(seqs), time)
            if touched:
                self._revision += 1
                self._access_revisions.update(dict.fromkeys(touched, self._revision))

    def forget(self, ids: Sequence[str], *, versions: Mapping[str, int] | None = None) -> int:
        with self._lock:
            self._check_versions(versions)
            gone = {memory.seq: memory for memory in self.get(ids)}
            if not gone:
                return 0
            self._revision += 1
            for seq, memory in gone.items():
                self._memories.forget(memory)
                for part in (self._terms, self._names, self._keys):
                    part.forget(seq)
                del self._row_revisions[seq]
                self._access_revisions.pop(seq, None)
                self._forgotten[seq] = self._revision
            self._count_versions(self._edges.names_into(gone))
            self._edges.forget(gone)
            self._close_gaps(gone.values())
            referred = {memory.trace_id for memory in gone.values() if memory.trace_id is not None}
            lost = self._traces.forget(referred, mentioning={memory.id for memory in gone.values()})
            self._memories.drop_traces(lost)
            self._statistics.clear()
            return len(lost)

    def _close_gaps(self, gone: Iterable[Memory]) -> None:
        """Join the memories around those that are gone from a conversation."""
        for memory in gone:
            left = self._memories.of(memory.conversation) if memory.conversation is not None else []
            place = bisect(left, memory.seq)
            if 0 < place < len(left):
                self._edges.put(Edge(left[place - 1], left[place], NEXT, 1.0), self._revision)

    # Keywords, names and edges

    def postings(self, terms: Sequence[str]) -> builtins.list[Postings]:
        with self._lock:
            return [self._terms.postings(term) for term in terms]

    def mentions(self, seqs: Sequence[int]) -> MentionRows:
        wanted = incoming.storable_seqs(seqs)
        with self._lock:
            return self._names.mentions(wanted)

    def mentioning(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._lock:
            return self._names.mentioning(names, among=self._memories.of(conversation), limit=limit)

    def about(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._lock:
            return self._names.about(names, among=self._memories.of(conversation), limit=limit)

    def relate(
        self,
        edges: Sequence[Edge],
        *,
        without: Sequence[tuple[int, int, str]] = (),
        used: Sequence[int] = (),
        at: datetime | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        checked = [incoming.checked_edge(edge) for edge in edges]
        names = incoming.checked_edge_names(without)
        time = incoming.required_time(at, what="at") if used else None
        with self._lock:
            self._check_versions(versions)
            for edge in checked:
                for end in (edge.source, edge.target):
                    if end not in self._memories:
                        raise incoming.unknown("memory", end)
            touched = self._memories.touch(incoming.storable_seqs(used), time) if time else set()
            if checked or touched or self._edges.there(names):
                self._revision += 1
            self._remove_edges(names)
            self._put_edges(checked)
            self._access_revisions.update(dict.fromkeys(touched, self._revision))

    def unrelate(self, edges: Sequence[tuple[int, int, str]]) -> int:
        names = incoming.checked_edge_names(edges)
        with self._lock:
            if self._edges.there(names):
                self._revision += 1
            return self._remove_edges(names)

    def _put_edges(self, edges: Sequence[Edge]) -> None:
        names = {(edge.source, edge.target, edge.type) for edge in edges}
        self._count_versions(names - self._edges.there(names))
        for edge in edges:
            self._edges.put(edge, self._revision)

    def _remove_edges(self, names: Iterable[tuple[int, int, str]]) -> int:
        there = self._edges.there(names)
        self._count_versions(there)
        self._edges.remove(there, self._revision)
        return len(there)

    def _count_versions(self, changed: Iterable[tuple[int, int, str]]) -> None:
        """One more for each memory that something holds in place of, or no longer, by edges that come or go."""
        self._memories.count_versions({source for source, _, kind in changed if kind == CORRECTED})

    def out_edges(
        self, seqs: Sequence[int], *, fan: int, min_weight: float = 0.0, types: Collection[str] | None = None
    ) -> EdgeRows:
        incoming.check_edge_filters(fan=fan, min_weight=min_weight, types=types)
        with self._lock:
            return edge_rows(
                edge
                for seq in dict.fromkeys(seqs)
                for edge in self._edges.out_of(seq, fan=fan, min_weight=min_weight, types=types)
            )

    def in_edges(self, seqs: Sequence[int], *, fan: int) -> EdgeRows:
        incoming.check_edge_filters(fan=fan)
        with self._lock:
            return edge_rows(edge for seq in dict.fromkeys(seqs) for edge in self._edges.into(seq, fan=fan))

    def memory_types(self, seqs: Sequence[int]) -> dict[int, str]:
        with self._lock:
            return {memory.seq: memory.type.value for memory in self._memories.by_seq(seqs)}

    # Traces

    def trace(self, trace_id: str) -> bytes:
        incoming.check_sought(trace_id, what="trace_id")
        with self._lock:
            body = self._traces.body(trace_id)
            if body is None:
                raise incoming.unknown("trace", trace_id)
            return body

    def trace_memories(self, trace_id: str) -> builtins.list[str]:
        incoming.check_sought(trace_id, what="trace_id")
        with self._lock:
            mentions = self._traces.mentions(trace_id)
            if mentions is None:
                raise incoming.unknown("trace", trace_id)
            return [
                memory.id for memory in self._memories if memory.id in mentions or memory.trace_id == trace_id
            ]

    def add_trace(self, trace: NewTrace) -> None:
        trace = incoming.checked_lone_trace(trace)
        with self._lock:
            self.get(trace.mentions)
            if trace.info.id not in self._traces:
                self._traces.add(trace)
                self._revision += 1

    def traces(
        self, *, conversation: str | None = None, seed: int | None = None, limit: int = 100
    ) -> builtins.list[TraceInfo]:
        incoming.check_trace_filters(conversation=conversation, seed=seed, limit=limit)
        with self._lock:
            return self._traces.newest_first(conversation=conversation, seed=seed)[:limit]

    def from_traces(self, trace_ids: Sequence[str]) -> builtins.list[Memory]:
        with self._lock:
            return [memory for memory in self._memories if memory.trace_id in set(trace_ids)]

    # The whole store

    def revision(self) -> int:
        with self._lock:
            return self._revision

    def changes(self, since: int) -> Changes:
        with self._lock:
            incoming.check_since(since, self._revision)
            seqs = [seq for seq, revision in sorted(self._row_revisions.items()) if revision > since]
            forgotten = [seq for seq, revision in sorted(self._forgotten.items()) if 0 < since < revision]
            return Changes(
                revision=self._revision,
                memories=self._rows(seqs),
                traits=trait_rows((seq, self._keys.traits_of(self._stamp).get(seq, {})) for seq in seqs),
                edges=edge_rows(self._edges.since(since)),
                accesses=access_rows(
                    memory for memory in self._memories if self._access_revisions.get(memory.seq, 0) > since
                ),
                forgotten=np.array(forgotten, dtype=np.int64),
                unrelated=self._edges.removed_since(since),
            )

    def _rows(self, seqs: builtins.list[int]) -> MemoryRows:
        keys = self._keys.of(self._stamp)
        return memory_rows(
            self._memories.by_seq(seqs),
            subjects=self._names.subjects(seqs),
            term_counts=[self._terms.count(seq) for seq in seqs],
            keys=[keys[seq] for seq in seqs],
            key_size=self._keys.length(self._stamp) or 0,
        )

    def stats(self) -> StoreStats:
        with self._lock:
            return StoreStats(
                memories=len(self._memories),
                traces=len(self._traces),
                edges=len(self._edges),
                conversations=len(self.conversations()),
                bytes={
                    "text": self._memories.size(),
                    "keys": self._keys.size(),
                    "fragments": self._keys.fragments_size(),
                    "traces": self._traces.size(),
                    "edges": self._edges.size(),
                    "keywords": self._terms.size(),
                    "names": self._names.size() + self._keys.traits_size(),
                    "file": 0,
                },
            )

    def check(self) -> builtins.list[str]:
        """Always sound: nothing outside this class can reach the dictionaries."""
        with self._lock:
            return []

    def backup(self, path: str) -> None:
        raise InvalidInput(
            "A store in memory has no file to copy.", hint="Open a store at a path.", path=path
        )
