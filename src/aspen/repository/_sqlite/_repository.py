"""SQLiteRepository: every method of `Repository` as named queries in one transaction."""

from __future__ import annotations

import builtins
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from aspen.repository import _changing as changing
from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite import _edges as relating
from aspen.repository._sqlite import _keys as keying
from aspen.repository._sqlite import _names as naming
from aspen.repository._sqlite import _steps as steps
from aspen.repository._sqlite._browsing_store import BrowsingStore
from aspen.repository._sqlite._check import findings
from aspen.repository._sqlite._file import back_up
from aspen.repository._sqlite._key_store import KeyStore
from aspen.repository._sqlite._sizes import sizes
from aspen.repository.values import (
    Attached,
    Changes,
    EdgeRows,
    KeyStamp,
    MentionRows,
    NewMemory,
    NewTrace,
    Postings,
    StoreStats,
    TraceInfo,
)
from aspen.types import Edge, Memory, Relation


class SQLiteRepository(BrowsingStore, KeyStore):
    """A store in the file `path`, for any number of threads and processes.

    Parameters
    ----------
    path:
        The file, created where there is none; its folder must exist.
    busy_timeout:
        Seconds to wait for another process that holds the store, > 0; after that, StoreBusy.
    """

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
        if not memories and not relations and not versions:
            return []
        with self._writing() as session:
            steps.check_versions(session, versions)
            number = keying.check_keys(session, memories, stamp, location=self.location)
            steps.check_traces(session, memories, trace)
            ids = [memory.id for memory in checked]
            stored = steps.by_id(session, ids)
            fresh: dict[str, tuple[NewMemory, Memory]] = {}
            for new, memory in zip(memories, checked, strict=True):
                if memory.id not in stored:
                    fresh.setdefault(memory.id, (new, memory))
            if fresh:
                referred = any(trace and memory.trace_id == trace.info.id for _, memory in fresh.values())
                new_trace = trace if trace and referred and steps.add_trace(session, trace) else None
                added = steps.add_memories(session, list(fresh.values()), number)
                if new_trace:
                    steps.add_trace_mentions(session, new_trace)
                stored |= {memory.id: memory for memory in added}
            if relations:
                ends = steps.seqs_by_id(session, changing.ends_of(relations))
                edges = changing.edges_between(relations, ends)
                relating.put_edges(session, edges, session.value("revision" if fresh else "next_revision"))
            return [stored[memory_id] for memory_id in ids]

    def amend(self, memory_id: str, fields: Mapping[str, object], *, version: int | None = None) -> Memory:
        checked = changing.checked_amendment(fields)
        with self._writing() as session:
            memory = steps.by_id(session, [memory_id]).get(memory_id)
            if memory is None:
                raise incoming.unknown("memory", memory_id)
            amended = changing.amended(memory, checked, version=version)
            if amended != memory:
                steps.amend(session, amended)
            return amended

    def attached(self, ids: Sequence[str]) -> Attached:
        with self._reading() as session:
            return steps.attached(session, steps.known_seqs(session, ids))

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._reading() as session:
            return set(steps.seqs_by_id(session, ids))

    def get(self, ids: Sequence[str]) -> list[Memory]:
        with self._reading() as session:
            stored = steps.by_id(session, ids)
        for memory_id in ids:
            if memory_id not in stored:
                raise incoming.unknown("memory", memory_id)
        return [stored[memory_id] for memory_id in ids]

    def get_by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            found = session.rows("memories_by_seq", seqs=json.dumps(wanted))
        by_seq = {memory.seq: memory for memory in map(rows.memory_of, found)}
        return [by_seq[seq] for seq in wanted if seq in by_seq]

    def touch(self, seqs: Sequence[int], *, at: datetime) -> None:
        time = incoming.required_time(at, what="at")
        with self._writing() as session:
            known = steps.existing(session, seqs)
            if known:
                touched = [seq for seq in incoming.storable_seqs(seqs) if seq in known]
                relating.touch(session, touched, at=time, revision=session.value("next_revision"))

    def forget(self, ids: Sequence[str], *, versions: Mapping[str, int] | None = None) -> int:
        with self._writing() as session:
            steps.check_versions(session, versions)
            seqs = steps.known_seqs(session, ids)
            if not seqs:
                return 0
            session.deleted = True
            return steps.forget(session, seqs)

    # Keywords, names and edges

    def postings(self, terms: Sequence[str]) -> builtins.list[Postings]:
        with self._reading() as session:
            return [
                rows.postings_of(session.rows("postings", term=term) if incoming.findable(term) else [])
                for term in terms
            ]

    def mentions(self, seqs: Sequence[int]) -> MentionRows:
        wanted = json.dumps(incoming.storable_seqs(seqs))
        with self._reading() as session:
            return rows.mention_rows_of(session.rows("mentions", seqs=wanted))

    def mentioning(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._reading() as session:
            return naming.mentioning(session, names, conversation=conversation, limit=limit)

    def about(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._reading() as session:
            return naming.about(session, names, conversation=conversation, limit=limit)

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
        if not checked and not names and time is None and not versions:
            return
        with self._writing() as session:
            steps.check_versions(session, versions)
            ends = [end for edge in checked for end in (edge.source, edge.target)]
            known = steps.existing(session, [*ends, *used])
            for end in ends:
                if end not in known:
                    raise incoming.unknown("memory", end)
            removed = relating.remove_edges(session, names)
            touched = [seq for seq in incoming.storable_seqs(used) if seq in known]
            if not (removed or checked or touched):
                return
            revision: int = session.value("next_revision")
            if removed:
                session.run("note_unrelated", revision=revision)
            relating.put_edges(session, checked, revision)
            if time is not None and touched:
                relating.touch(session, touched, at=time, revision=revision)

    def unrelate(self, edges: Sequence[tuple[int, int, str]]) -> int:
        names = incoming.checked_edge_names(edges)
        with self._writing() as session:
            removed = relating.remove_edges(session, names)
            if removed:
                session.run("note_unrelated", revision=session.value("next_revision"))
            return removed

    def out_edges(
        self, seqs: Sequence[int], *, fan: int, min_weight: float = 0.0, types: Collection[str] | None = None
    ) -> EdgeRows:
        incoming.check_edge_filters(fan=fan, min_weight=min_weight, types=types)
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            return relating.out_edges(session, wanted, fan=fan, min_weight=min_weight, types=types)

    def in_edges(self, seqs: Sequence[int], *, fan: int) -> EdgeRows:
        incoming.check_edge_filters(fan=fan)
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            return relating.in_edges(session, wanted, fan=fan)

    def memory_types(self, seqs: Sequence[int]) -> dict[int, str]:
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            types: dict[int, str] = dict(session.rows("memory_types", seqs=json.dumps(wanted)))
        return {seq: types[seq] for seq in wanted if seq in types}

    # Traces

    def trace(self, trace_id: str) -> bytes:
        incoming.check_sought(trace_id, what="trace_id")
        with self._reading() as session:
            body: bytes | None = (
                session.value("trace_body", trace_id=trace_id) if incoming.findable(trace_id) else None
            )
        if body is None:
            raise incoming.unknown("trace", trace_id)
        return body

    def trace_memories(self, trace_id: str) -> builtins.list[str]:
        incoming.check_sought(trace_id, what="trace_id")
        with self._reading() as session:
            # A trace always has a memory that refers to it or that it mentions: no row means no trace.
            found = session.rows("trace_memories", trace_id=trace_id) if incoming.findable(trace_id) else []
        if not found:
            raise incoming.unknown("trace", trace_id)
        return [id_ for (id_,) in found]

    def add_trace(self, trace: NewTrace) -> None:
        trace = incoming.checked_lone_trace(trace)
        with self._writing() as session:
            steps.check_traces(session, (), trace)
            if steps.add_trace(session, trace):
                steps.add_trace_mentions(session, trace)
                session.value("next_revision")

    def traces(
        self, *, conversation: str | None = None, seed: int | None = None, limit: int = 100
    ) -> builtins.list[TraceInfo]:
        incoming.check_trace_filters(conversation=conversation, seed=seed, limit=limit)
        with self._reading() as session:
            return steps.traces(session, conversation=conversation, seed=seed, limit=limit)

    def from_traces(self, trace_ids: Sequence[str]) -> builtins.list[Memory]:
        with self._reading() as session:
            found = session.rows("memories_from_traces", ids=steps.names(trace_ids))
        return [rows.memory_of(row) for row in found]

    # The whole store

    def revision(self) -> int:
        with self._pool.borrow() as session:
            revision: int = session.value("revision")
        return revision

    def changes(self, since: int) -> Changes:
        with self._reading() as session:
            revision: int = session.value("revision")
            incoming.check_since(since, revision)
            forgotten = session.rows("new_forgotten", since=since) if since else []
            memories, traits = keying.changed_rows(session, since)
            edges = session.rows("new_edges", since=since) if since else session.rows("all_edges")
            accesses = session.rows("new_accesses", since=since) if since else session.rows("all_accesses")
            return Changes(
                revision=revision,
                memories=memories,
                traits=traits,
                edges=rows.edge_rows_of(edges),
                accesses=rows.access_rows_of(accesses),
                forgotten=np.array([seq for (seq,) in forgotten], dtype=np.int64),
                unrelated=0 < since < session.value("unrelated"),
            )

    def stats(self) -> StoreStats:
        with self._reading() as session:
            return sizes(session)

    def check(self) -> builtins.list[str]:
        with self._pool.borrow() as session:
            return findings(session)

    def backup(self, path: str) -> None:
        with self._pool.borrow() as session:
            back_up(session.connection, self._path, Path(path).expanduser().absolute())
