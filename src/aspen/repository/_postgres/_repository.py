"""PostgresRepository: every method of `Repository` as named queries in one transaction."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _changing as changing
from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._postgres import _columns as columns
from aspen.repository._postgres import _edges as relating
from aspen.repository._postgres import _keys as keying
from aspen.repository._postgres import _names as naming
from aspen.repository._postgres import _steps as steps
from aspen.repository._postgres._browsing_store import BrowsingStore
from aspen.repository._postgres._check import findings
from aspen.repository._postgres._copying import back_up
from aspen.repository._postgres._graph_store import GraphStore
from aspen.repository._postgres._sizes import sizes
from aspen.repository.values import (
    Attached,
    Changes,
    KeyStamp,
    MentionRows,
    NewMemory,
    NewTrace,
    Postings,
    StoreStats,
    TraceInfo,
)
from aspen.types import Memory, Relation, Seqs


class PostgresRepository(BrowsingStore, GraphStore):
    """The store of one tenant in a Postgres database, for any number of threads and processes.

    The tables lie in the schema `aspen`, and hold the stores of all tenants. No tenant reads, changes or refers to what
    belongs to another: every statement names its tenant, every key and foreign key begins with it, and row-level
    security holds back the rest, from all roles but superusers and those with BYPASSRLS.

    `forget` deletes rows and then asks for a VACUUM, which takes them out of the tables as soon as no older transaction
    can see them. Postgres cannot promise more: bytes of deleted rows can stay in free parts of pages until others are
    written there, in the write-ahead log and its archives, on replicas, and in backups. `VACUUM FULL` writes the tables
    anew. Only a role that owns the tables may vacuum them; for others, Postgres does it by and by.

    Parameters
    ----------
    url:
        As libpq takes it, "postgresql://user:password@host:5432/database", with one more parameter: `?tenant=name`
        chooses the store, "default" where it is not given. The schema is created where there is none.
    busy_timeout:
        Seconds to wait for another process that holds the store, for a free connection or for the server, > 0; after
        that, StoreBusy, or StoreError where there is no connection.
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
            known_trace = steps.check_traces(session, memories, trace)
            ids = [memory.id for memory in checked]
            stored = steps.by_id(session, ids)
            fresh: dict[str, tuple[NewMemory, Memory]] = {}
            for new, memory in zip(memories, checked, strict=True):
                if memory.id not in stored:
                    fresh.setdefault(memory.id, (new, memory))
            if fresh:
                referred = any(trace and memory.trace_id == trace.info.id for _, memory in fresh.values())
                new_trace = trace if referred and not known_trace else None
                added = steps.add_memories(session, list(fresh.values()), stamp=number, trace=new_trace)
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
        with self._pool.reading() as session:
            return steps.attached(session, steps.known_seqs(session, ids))

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._pool.reading() as session:
            return set(steps.seqs_by_id(session, ids))

    def get(self, ids: Sequence[str]) -> list[Memory]:
        with self._pool.reading() as session:
            stored = steps.by_id(session, ids)
        for memory_id in ids:
            if memory_id not in stored:
                raise incoming.unknown("memory", memory_id)
        return [stored[memory_id] for memory_id in ids]

    def get_by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            found = session.rows("memories_by_seq", seqs=wanted)
        by_seq = {memory.seq: memory for memory in map(rows.memory_of, found)}
        return [by_seq[seq] for seq in wanted if seq in by_seq]

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
        # A term that no row can hold occurs nowhere, as the empty one.
        sought = [term if incoming.findable(term) else "" for term in terms]
        with self._pool.reading() as session:
            return [columns.postings_of(row) for row in session.rows("postings", terms=sought)]

    def mentions(self, seqs: Sequence[int]) -> MentionRows:
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            return rows.mention_rows_of(session.rows("mentions", seqs=wanted))

    def mentioning(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._pool.reading() as session:
            return naming.mentioning(session, names, conversation=conversation, limit=limit)

    def about(self, names: Sequence[str], *, conversation: str | None = None, limit: int) -> MentionRows:
        incoming.check_names_sought(names, conversation=conversation, limit=limit)
        with self._pool.reading() as session:
            return naming.about(session, names, conversation=conversation, limit=limit)

    # Traces

    def trace(self, trace_id: str) -> bytes:
        incoming.check_sought(trace_id, what="trace_id")
        with self._pool.reading() as session:
            body: bytes | None = (
                session.value("trace_body", id=trace_id) if incoming.findable(trace_id) else None
            )
        if body is None:
            raise incoming.unknown("trace", trace_id)
        return body

    def trace_memories(self, trace_id: str) -> builtins.list[str]:
        incoming.check_sought(trace_id, what="trace_id")
        with self._pool.reading() as session:
            # A trace always has a memory that refers to it or that it mentions: no row means no trace.
            found = session.rows("trace_memories", id=trace_id) if incoming.findable(trace_id) else []
        if not found:
            raise incoming.unknown("trace", trace_id)
        return [id_ for (id_,) in found]

    def add_trace(self, trace: NewTrace) -> None:
        trace = incoming.checked_lone_trace(trace)
        with self._writing() as session:
            steps.add_lone_trace(session, trace)

    def traces(
        self, *, conversation: str | None = None, seed: int | None = None, limit: int = 100
    ) -> builtins.list[TraceInfo]:
        incoming.check_trace_filters(conversation=conversation, seed=seed, limit=limit)
        with self._pool.reading() as session:
            return steps.traces(session, conversation=conversation, seed=seed, limit=limit)

    def from_traces(self, trace_ids: Sequence[str]) -> builtins.list[Memory]:
        wanted = [name for name in trace_ids if incoming.findable(name)]
        with self._pool.reading() as session:
            found = session.rows("memories_from_traces", ids=list(dict.fromkeys(wanted)))
        return [rows.memory_of(row) for row in found]

    # Keys and statistics

    def stamp(self) -> KeyStamp | None:
        with self._pool.reading() as session:
            row = session.row("current_stamp")
        return rows.stamp_of(row) if row else None

    def set_stamp(self, stamp: KeyStamp) -> None:
        incoming.check_stamp(stamp)
        with self._writing() as session:
            row = session.row("current_stamp")
            if row is None:
                number = keying.stamp_number(session, stamp)
                session.run("make_stamp_current", stamp=number, revision=session.value("next_revision"))
            elif rows.stamp_of(row).identity != stamp.identity:
                raise incoming.stamp_mismatch(rows.stamp_of(row), stamp, location=self.location)

    def missing_keys(self, stamp: KeyStamp, *, limit: int) -> builtins.list[Memory]:
        incoming.check_stamp(stamp)
        incoming.checked_limit(limit)
        with self._pool.reading() as session:
            found = session.rows("missing_keys", stamp=keying.find_stamp(session, stamp), limit=limit)
        return [rows.memory_of(row) for row in found]

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        incoming.check_stamp(stamp)
        with self._pool.reading() as session:
            return keying.keys_after(session, stamp, after=min(after, incoming.MAX_SEQ))

    def add_keys(
        self,
        stamp: KeyStamp,
        keys: Mapping[int, bytes],
        *,
        head_keys: Mapping[int, bytes] | None = None,
        traits: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        incoming.check_stamp(stamp)
        heads = incoming.checked_head_keys(head_keys, keys)
        new_traits = incoming.checked_traits(traits, keys)
        with self._writing() as session:
            size = session.value("key_size", stamp=keying.find_stamp(session, stamp))
            checked = incoming.checked_key_mapping(keys, size)
            known = steps.existing(session, checked)
            kept = {seq: body for seq, body in checked.items() if seq in known}
            if kept:
                number = keying.stamp_number(session, stamp)
                own = {seq: traits for seq, traits in new_traits.items() if seq in kept}
                session.run("delete_traits", seqs=list(own), stamp=number)
                keying.put_keys(
                    session,
                    number,
                    keys=kept,
                    head_keys={seq: body for seq, body in heads.items() if seq in kept},
                    traits=own,
                    revision=session.value("next_revision"),
                )

    def head_keys(self, seqs: Sequence[int]) -> dict[int, bytes]:
        wanted = incoming.storable_seqs(seqs)
        with self._pool.reading() as session:
            stamp = session.row("current_stamp")
            found = session.rows("head_keys", stamp=stamp[0], seqs=wanted) if stamp else []
        bodies: dict[int, bytes] = dict(found)
        return {seq: bodies[seq] for seq in wanted if seq in bodies}

    def activate(self, stamp: KeyStamp) -> bool:
        incoming.check_stamp(stamp)
        with self._writing() as session:
            return keying.activate(session, stamp)

    def statistics(self, name: str) -> bytes | None:
        incoming.check_sought(name, what="statistics name")
        with self._pool.reading() as session:
            body: bytes | None = session.value("statistics", name=name) if incoming.findable(name) else None
        return body

    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        incoming.check_statistics(name, body, as_of=as_of)
        with self._writing() as session:
            if as_of > session.value("revision") or session.value("statistics_outdated", as_of=as_of):
                return False
            session.run("next_revision")
            session.run("save_statistics", name=name, body=body)
            return True

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        wanted = incoming.fragment_places(places)
        with self._pool.reading() as session:
            return keying.fragments(session, wanted)

    def save_fragments(self, stamp: KeyStamp, fragments: Mapping[tuple[int, str], bytes]) -> None:
        incoming.check_stamp(stamp)
        checked = incoming.checked_fragments(fragments)
        with self._writing() as session:
            number = keying.current_number(session, stamp, location=self.location)
            known = steps.existing(session, (seq for seq, _ in checked))
            kept = {place: body for place, body in checked.items() if place[0] in known}
            if kept:
                session.run("next_revision")
                keying.put_fragments(session, number, kept)

    # The whole store

    def revision(self) -> int:
        with self._pool.reading() as session:
            revision: int = session.value("revision")
        return revision

    def changes(self, since: int) -> Changes:
        with self._pool.reading() as session:
            revision: int = session.value("revision")
            incoming.check_since(since, revision)
            forgotten = session.rows("new_forgotten", since=since) if since else []
            memories, traits = keying.changed_rows(session, since)
            (edges,) = session.rows("new_edges", since=since) if since else session.rows("all_edges")
            (accesses,) = session.rows("new_accesses", since=since) if since else session.rows("all_accesses")
            return Changes(
                revision=revision,
                memories=memories,
                traits=traits,
                edges=columns.edge_rows_of(edges),
                accesses=columns.access_rows_of(accesses),
                forgotten=np.array([seq for (seq,) in forgotten], dtype=np.int64),
                unrelated=0 < since < session.value("unrelated"),
            )

    def stats(self) -> StoreStats:
        with self._pool.reading() as session:
            return sizes(session)

    def check(self) -> builtins.list[str]:
        with self._pool.reading() as session:
            return findings(session)

    def backup(self, path: str) -> None:
        """The copy is a store of SQLite, with the same seqs and revisions. Whole databases are copied by `pg_dump`."""
        with self._pool.reading() as session:
            back_up(session, Path(path).expanduser().absolute())
