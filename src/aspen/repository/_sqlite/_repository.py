"""SQLiteRepository: every method of `Repository` as named queries in one transaction."""

from __future__ import annotations

import builtins
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite import _edges as relating
from aspen.repository._sqlite import _keys as keying
from aspen.repository._sqlite import _names as naming
from aspen.repository._sqlite import _steps as steps
from aspen.repository._sqlite._check import findings
from aspen.repository._sqlite._file import back_up
from aspen.repository._sqlite._open_store import OpenStore
from aspen.repository._sqlite._sizes import sizes
from aspen.repository.values import (
    Changes,
    Conversation,
    EdgeRows,
    KeyStamp,
    MentionRows,
    NewMemory,
    NewTrace,
    Postings,
    StoreStats,
    TraceInfo,
)
from aspen.types import Edge, Memory, Seqs


class SQLiteRepository(OpenStore):
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
        self, memories: Sequence[NewMemory], *, trace: NewTrace | None = None, stamp: KeyStamp | None = None
    ) -> list[Memory]:
        checked = [incoming.checked_memory(new) for new in memories]
        trace = incoming.checked_trace(trace, memories) if trace else None
        if not memories:
            return []
        with self._writing() as session:
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
            return [stored[memory_id] for memory_id in ids]

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

    def list(
        self,
        *,
        conversation: str | None = None,
        speaker: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        incoming.check_filters(conversation=conversation, speaker=speaker)
        values: dict[str, Any] = {
            "speaker": speaker,
            "before": incoming.MAX_SEQ if before is None else min(before, incoming.MAX_SEQ),
            "limit": incoming.checked_limit(limit),
        }
        with self._reading() as session:
            if conversation is None:
                found = session.rows("list_memories", **values)
            else:
                found = session.rows("list_conversation", conversation=conversation, **values)
        return [rows.memory_of(row) for row in found]

    def conversations(self) -> builtins.list[Conversation]:
        with self._reading() as session:
            return [Conversation(*row) for row in session.rows("conversations")]

    def touch(self, seqs: Sequence[int], *, at: datetime) -> None:
        time = incoming.required_time(at, what="at")
        with self._writing() as session:
            known = steps.existing(session, seqs)
            if known:
                relating.touch(session, (seq for seq in incoming.storable_seqs(seqs) if seq in known), time)

    def forget(self, ids: Sequence[str]) -> int:
        with self._writing() as session:
            seqs = steps.seqs_by_id(session, ids)
            for memory_id in ids:
                if memory_id not in seqs:
                    raise incoming.unknown("memory", memory_id)
            if not seqs:
                return 0
            session.deleted = True
            return steps.forget(session, sorted(seqs.values()))

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

    def relate(self, edges: Sequence[Edge]) -> None:
        checked = [incoming.checked_edge(edge) for edge in edges]
        if not checked:
            return
        with self._writing() as session:
            ends = [end for edge in checked for end in (edge.source, edge.target)]
            known = steps.existing(session, ends)
            for end in ends:
                if end not in known:
                    raise incoming.unknown("memory", end)
            relating.put_edges(session, checked, session.value("next_revision"))

    def unrelate(self, edges: Sequence[tuple[int, int, str]]) -> int:
        names = incoming.checked_edge_names(edges)
        with self._writing() as session:
            return relating.remove_edges(session, names)

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

    # Keys and statistics

    def stamp(self) -> KeyStamp | None:
        with self._reading() as session:
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
        with self._reading() as session:
            found = session.rows("missing_keys", stamp=keying.find_stamp(session, stamp), limit=limit)
        return [rows.memory_of(row) for row in found]

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        incoming.check_stamp(stamp)
        with self._reading() as session:
            found = session.rows("keys_after", stamp=keying.find_stamp(session, stamp), after=after)
        size = len(found[0][1]) if found else 0
        body = np.frombuffer(b"".join(key for _, key in found), dtype=np.uint8)
        return np.array([seq for seq, _ in found], dtype=np.int64), body.reshape(len(found), size)

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
                keying.put_keys(
                    session,
                    keying.stamp_number(session, stamp),
                    keys=kept,
                    head_keys={seq: body for seq, body in heads.items() if seq in kept},
                    traits={seq: own for seq, own in new_traits.items() if seq in kept},
                    revision=session.value("next_revision"),
                )

    def head_keys(self, seqs: Sequence[int]) -> dict[int, bytes]:
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            stamp = session.row("current_stamp")
            found = session.rows("head_keys", stamp=stamp[0], seqs=json.dumps(wanted)) if stamp else []
        bodies: dict[int, bytes] = dict(found)
        return {seq: bodies[seq] for seq in wanted if seq in bodies}

    def activate(self, stamp: KeyStamp) -> bool:
        incoming.check_stamp(stamp)
        with self._writing() as session:
            return keying.activate(session, stamp)

    def statistics(self, name: str) -> bytes | None:
        incoming.check_sought(name, what="statistics name")
        with self._reading() as session:
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
        with self._reading() as session:
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
