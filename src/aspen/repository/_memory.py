"""A store in plain dictionaries: for tests and trials, and the oracle that every other store is compared with."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, StoreError
from aspen.repository import _incoming as incoming
from aspen.repository.interface import (
    NEXT,
    NO_TIME,
    Changes,
    Conversation,
    EdgeRows,
    KeyStamp,
    MemoryRows,
    NewMemory,
    NewTrace,
    Postings,
    StoreStats,
    TraceInfo,
)
from aspen.types import Edge, Memory, Seqs

EdgeName = tuple[int, int, str]
"""Source, target and type."""


class InMemoryRepository:
    """Keeps everything in dictionaries behind one lock. Nothing survives `close`."""

    location = ":memory:"
    writable = True

    def __init__(self) -> None:
        self._guard = RLock()
        self._closed = False
        self._revision = 0
        self._last_seq = 0
        self._memories: dict[int, Memory] = {}  # in ascending order of seq
        self._by_id: dict[str, int] = {}
        self._terms: dict[int, dict[str, list[int]]] = {}  # the positions of each term, by seq
        self._edges: dict[EdgeName, float] = {}
        self._edge_revisions: dict[EdgeName, int] = {}
        self._traces: dict[str, NewTrace] = {}
        self._stamp: KeyStamp | None = None
        self._keys: dict[tuple[str, str], dict[int, bytes]] = {}
        self._row_revisions: dict[int, int] = {}
        self._statistics: dict[str, bytes] = {}
        self._forgotten: dict[int, int] = {}

    @property
    def _lock(self) -> RLock:
        if self._closed:
            raise StoreError("The store is closed.", hint="Open it again.")
        return self._guard

    # Memories

    def add(
        self, memories: Sequence[NewMemory], *, trace: NewTrace | None = None, stamp: KeyStamp | None = None
    ) -> list[Memory]:
        checked = [incoming.checked_memory(new) for new in memories]
        trace = incoming.checked_trace(trace, memories) if trace else None
        with self._lock:
            if not memories:
                return []
            current = incoming.current_stamp(self._stamp, stamp, location=self.location)
            incoming.check_keys([new.key for new in memories], self._key_size(self._stamp))
            traces = {**self._traces, trace.info.id: trace} if trace else self._traces
            for new in memories:
                if new.trace_id is not None and new.trace_id not in traces:
                    raise incoming.unknown("trace", new.trace_id)
            for mention in trace.mentions if trace else ():
                if mention not in self._by_id and mention not in {memory.id for memory in checked}:
                    raise incoming.unknown("memory", mention)
            if any(new.id not in self._by_id for new in memories):
                self._revision += 1
            for new, memory in zip(memories, checked, strict=True):
                if memory.id not in self._by_id:
                    self._add_one(current, new, memory)
                    if trace and memory.trace_id == trace.info.id:
                        self._traces.setdefault(trace.info.id, trace)
            return self.get([new.id for new in memories])

    def _add_one(self, stamp: KeyStamp, new: NewMemory, memory: Memory) -> None:
        self._last_seq += 1
        seq = self._last_seq
        if memory.conversation is not None:
            newest_first = reversed(self._memories.values())
            before = next((m.seq for m in newest_first if m.conversation == memory.conversation), None)
            if before is not None:
                self._put_edge(Edge(before, seq, NEXT, 1.0))
        self._memories[seq] = replace(memory, seq=seq)
        self._by_id[memory.id] = seq
        self._terms[seq] = _positions(new.terms)
        self._keys.setdefault(stamp.identity, {})[seq] = new.key
        self._row_revisions[seq] = self._revision

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._lock:
            return {memory_id for memory_id in ids if memory_id in self._by_id}

    def get(self, ids: Sequence[str]) -> list[Memory]:
        with self._lock:
            for memory_id in ids:
                if memory_id not in self._by_id:
                    raise incoming.unknown("memory", memory_id)
            return [self._memories[self._by_id[memory_id]] for memory_id in ids]

    def get_by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        with self._lock:
            return [self._memories[int(seq)] for seq in seqs if int(seq) in self._memories]

    def list(
        self,
        *,
        conversation: str | None = None,
        speaker: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        incoming.checked_limit(limit)
        incoming.check_filters(conversation=conversation, speaker=speaker)
        with self._lock:
            found = [
                memory
                for seq, memory in sorted(self._memories.items(), reverse=True)
                if (conversation is None or memory.conversation == conversation)
                and (speaker is None or memory.speaker == speaker)
                and (before is None or seq < before)
            ]
            return found[:limit]

    def conversations(self) -> builtins.list[Conversation]:
        with self._lock:
            seqs: dict[str, list[int]] = {}
            for seq, memory in self._memories.items():
                if memory.conversation is not None:
                    seqs.setdefault(memory.conversation, []).append(seq)
            found = [Conversation(name, len(own), min(own), max(own)) for name, own in seqs.items()]
            return sorted(found, key=lambda conversation: -conversation.last_seq)

    def forget(self, ids: Sequence[str]) -> int:
        with self._lock:
            gone = {memory.seq: memory for memory in self.get(ids)}
            if not gone:
                return 0
            self._revision += 1
            for seq, memory in gone.items():
                del self._by_id[memory.id], self._memories[seq], self._terms[seq], self._row_revisions[seq]
                self._forgotten[seq] = self._revision
                for keys in self._keys.values():
                    keys.pop(seq, None)
            for edge in [edge for edge in self._edges if gone.keys() & edge[:2]]:
                del self._edges[edge], self._edge_revisions[edge]
            ids_gone = {memory.id for memory in gone.values()}
            lost = {memory.trace_id for memory in gone.values()} - {None}
            lost |= {name for name, trace in self._traces.items() if ids_gone & set(trace.mentions)}
            for seq, memory in self._memories.items():
                if memory.trace_id in lost:
                    self._memories[seq] = replace(memory, trace_id=None)
            for trace_id in lost:
                del self._traces[str(trace_id)]
            self._statistics.clear()
            return len(lost)

    # Keywords and edges

    def postings(self, terms: Sequence[str]) -> builtins.list[Postings]:
        with self._lock:
            return [self._postings(term) for term in terms]

    def _postings(self, term: str) -> Postings:
        found = [
            (seq, position)
            for seq, positions in sorted(self._terms.items())
            for position in positions.get(term, ())
        ]
        return Postings(
            seqs=np.array([seq for seq, _ in found], dtype=np.int64),
            positions=np.array([position for _, position in found], dtype=np.int32),
        )

    def relate(self, edges: Sequence[Edge]) -> None:
        checked = [incoming.checked_edge(edge) for edge in edges]
        with self._lock:
            for edge in checked:
                for end in (edge.source, edge.target):
                    if end not in self._memories:
                        raise incoming.unknown("memory", end)
            if checked:
                self._revision += 1
            for edge in checked:
                self._put_edge(edge)

    def _put_edge(self, edge: Edge) -> None:
        name = (edge.source, edge.target, edge.type)
        self._edges[name] = edge.weight
        self._edge_revisions[name] = self._revision

    def out_edges(self, seqs: Sequence[int], *, fan: int) -> EdgeRows:
        incoming.checked_limit(fan, what="fan")
        with self._lock:
            found: list[Edge] = []
            for seq in dict.fromkeys(seqs):
                own = [Edge(*name, weight) for name, weight in self._edges.items() if name[0] == seq]
                own.sort(key=lambda edge: (-edge.weight, edge.target, edge.type))
                found += own[:fan]
            return edge_rows(found)

    # Traces

    def trace(self, trace_id: str) -> bytes:
        incoming.check_sought(trace_id, what="trace_id")
        with self._lock:
            if trace_id not in self._traces:
                raise incoming.unknown("trace", trace_id)
            return self._traces[trace_id].body

    def traces(self, *, conversation: str | None = None, limit: int = 100) -> builtins.list[TraceInfo]:
        incoming.checked_limit(limit)
        incoming.check_filters(conversation=conversation)
        with self._lock:
            infos = [trace.info for trace in reversed(self._traces.values())]
            return [info for info in infos if conversation in (None, info.conversation)][:limit]

    # Keys and statistics

    def stamp(self) -> KeyStamp | None:
        with self._lock:
            return self._stamp

    def set_stamp(self, stamp: KeyStamp) -> None:
        incoming.check_stamp(stamp)
        with self._lock:
            if self._stamp is None:
                self._revision += 1
                self._stamp = stamp
            elif self._stamp.identity != stamp.identity:
                raise incoming.stamp_mismatch(self._stamp, stamp, location=self.location)

    def _key_size(self, stamp: KeyStamp | None) -> int | None:
        keys = self._keys.get(stamp.identity, {}) if stamp else {}
        return next((len(body) for body in keys.values()), None)

    def _without_key(self, stamp: KeyStamp) -> builtins.list[Memory]:
        keys = self._keys.get(stamp.identity, {})
        return [memory for seq, memory in sorted(self._memories.items()) if seq not in keys]

    def missing_keys(self, stamp: KeyStamp, *, limit: int) -> builtins.list[Memory]:
        incoming.check_stamp(stamp)
        incoming.checked_limit(limit)
        with self._lock:
            return self._without_key(stamp)[:limit]

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        incoming.check_stamp(stamp)
        with self._lock:
            found = {
                seq: key for seq, key in sorted(self._keys.get(stamp.identity, {}).items()) if seq > after
            }
            body = np.frombuffer(b"".join(found.values()), dtype=np.uint8)
            seqs = np.array(list(found), dtype=np.int64)
            return seqs, body.reshape(len(found), self._key_size(stamp) or 0)

    def add_keys(self, stamp: KeyStamp, keys: Mapping[int, bytes]) -> None:
        incoming.check_stamp(stamp)
        with self._lock:
            checked = incoming.checked_key_mapping(keys, self._key_size(stamp))
            kept = {seq: body for seq, body in checked.items() if seq in self._memories}
            if not kept:
                return
            self._revision += 1
            self._keys.setdefault(stamp.identity, {}).update(kept)
            if self._stamp is not None and self._stamp.identity == stamp.identity:
                self._row_revisions.update(dict.fromkeys(kept, self._revision))

    def activate(self, stamp: KeyStamp) -> bool:
        incoming.check_stamp(stamp)
        with self._lock:
            if self._without_key(stamp):
                return False
            others = [
                identity for identity, keys in self._keys.items() if identity != stamp.identity and keys
            ]
            changed = self._stamp is None or self._stamp.identity != stamp.identity
            if changed or others:
                self._revision += 1
            for identity in others:
                del self._keys[identity]
            if changed:
                self._stamp = stamp
                self._statistics.clear()
                self._row_revisions = dict.fromkeys(self._memories, self._revision)
            return True

    def statistics(self, name: str) -> bytes | None:
        incoming.check_sought(name, what="statistics name")
        with self._lock:
            return self._statistics.get(name)

    def save_statistics(self, name: str, body: bytes) -> None:
        incoming.check_statistics(name, body)
        with self._lock:
            self._revision += 1
            self._statistics[name] = body

    # The whole store

    def revision(self) -> int:
        with self._lock:
            return self._revision

    def changes(self, since: int) -> Changes:
        with self._lock:
            incoming.check_since(since, self._revision)
            seqs = [seq for seq, revision in sorted(self._row_revisions.items()) if revision > since]
            edges = [
                Edge(*name, self._edges[name])
                for name, revision in sorted(self._edge_revisions.items())
                if revision > since
            ]
            forgotten = [seq for seq, revision in sorted(self._forgotten.items()) if 0 < since < revision]
            return Changes(
                revision=self._revision,
                memories=self._rows(seqs),
                edges=edge_rows(edges),
                forgotten=np.array(forgotten, dtype=np.int64),
            )

    def _rows(self, seqs: builtins.list[int]) -> MemoryRows:
        memories = [self._memories[seq] for seq in seqs]
        keys = self._keys.get(self._stamp.identity, {}) if self._stamp else {}
        times = [m.said_at and incoming.to_microseconds(m.said_at) for m in memories]
        body = b"".join(keys[seq] for seq in seqs)
        return MemoryRows(
            seqs=np.array(seqs, dtype=np.int64),
            conversations=[memory.conversation for memory in memories],
            provenances=[str(memory.provenance) for memory in memories],
            said_at=np.array([NO_TIME if time is None else time for time in times], dtype=np.int64),
            token_counts=np.array([memory.token_count for memory in memories], dtype=np.int32),
            term_counts=np.array([_term_count(self._terms[seq]) for seq in seqs], dtype=np.int32),
            keys=np.frombuffer(body, dtype=np.uint8).reshape(len(seqs), self._key_size(self._stamp) or 0),
        )

    def stats(self) -> StoreStats:
        with self._lock:
            return StoreStats(
                memories=len(self._memories),
                traces=len(self._traces),
                edges=len(self._edges),
                conversations=len(self.conversations()),
                bytes={
                    "text": sum(len(memory.text.encode()) for memory in self._memories.values()),
                    "keys": sum(len(body) for keys in self._keys.values() for body in keys.values()),
                    "traces": sum(trace.info.size for trace in self._traces.values()),
                    "edges": sum(24 + len(name[2].encode()) for name in self._edges),
                    "keywords": sum(
                        len(term.encode()) + 8 + 4 * len(positions)
                        for own in self._terms.values()
                        for term, positions in own.items()
                    ),
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

    def close(self) -> None:
        with self._guard:
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _positions(terms: Sequence[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for position, term in enumerate(terms):
        positions.setdefault(term, []).append(position)
    return positions


def _term_count(positions: Mapping[str, Sequence[int]]) -> int:
    return sum(map(len, positions.values()))


def edge_rows(edges: Iterable[Edge]) -> EdgeRows:
    columns = list(edges)
    return EdgeRows(
        sources=np.array([edge.source for edge in columns], dtype=np.int64),
        targets=np.array([edge.target for edge in columns], dtype=np.int64),
        types=[edge.type for edge in columns],
        weights=np.array([edge.weight for edge in columns], dtype=np.float64),
    )
