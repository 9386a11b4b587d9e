"""Steps inside one transaction, shared by the methods of the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aspen.repository import _incoming as incoming
from aspen.repository._sqlite import _rows as rows
from aspen.repository._sqlite._pool import Session
from aspen.repository.interface import NEXT, KeyStamp, MemoryRows, NewMemory, NewTrace
from aspen.types import Edge, Memory

_NO_STAMP = -1
"""The number of a stamp that the store does not know: no row matches it."""


def storable(name: str) -> bool:
    """False for a lone surrogate, which has no UTF-8 form: no row can match it."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def names(wanted: Iterable[str]) -> str:
    """A JSON array for `json_each`, without what no row can match."""
    return json.dumps([name for name in wanted if storable(name)], ensure_ascii=False)


def by_id(session: Session, ids: Iterable[str]) -> dict[str, Memory]:
    """The stored ones of `ids`."""
    return {
        memory.id: memory for memory in map(rows.memory_of, session.rows("memories_by_id", ids=names(ids)))
    }


def seqs_by_id(session: Session, ids: Iterable[str]) -> dict[str, int]:
    """The seqs of the stored ones of `ids`."""
    return dict(session.rows("seqs_by_id", ids=names(ids)))


def existing(session: Session, seqs: Iterable[int]) -> set[int]:
    """The stored ones of `seqs`."""
    wanted = json.dumps(incoming.storable_seqs(seqs))
    return {seq for (seq,) in session.rows("existing_seqs", seqs=wanted)}


def check_keys(
    session: Session, memories: Sequence[NewMemory], stamp: KeyStamp | None, *, location: str
) -> int:
    """The number of the current stamp, once the keys are known to fit it."""
    row = session.row("current_stamp")
    stored = rows.stamp_of(row) if row else None
    number = find_stamp(session, incoming.current_stamp(stored, stamp, location=location))
    incoming.check_keys([new.key for new in memories], session.value("key_size", stamp=number))
    return number


def check_traces(session: Session, memories: Sequence[NewMemory], trace: NewTrace | None) -> None:
    """NotFound for a `trace_id` that is neither stored nor on its way."""
    given = {trace.info.id} if trace else set()
    for trace_id in dict.fromkeys(new.trace_id for new in memories if new.trace_id is not None):
        if trace_id not in given and session.row("trace_exists", trace_id=trace_id) is None:
            raise incoming.unknown("trace", trace_id)
    if trace:
        known = seqs_by_id(session, trace.mentions).keys() | {new.id for new in memories}
        for mention in trace.mentions:
            if mention not in known:
                raise incoming.unknown("memory", mention)


def add_trace(session: Session, trace: NewTrace) -> bool:
    """Store a trace, without its mentions; False if it is stored already."""
    info = trace.info
    if session.row("trace_exists", trace_id=info.id) is not None:
        return False
    session.run(
        "add_trace",
        id=info.id,
        conversation=info.conversation,
        created_at=incoming.to_microseconds(info.created_at),
        seed=info.seed,
        level=info.level,
        size=info.size,
        body=trace.body,
    )
    return True


def add_mentions(session: Session, trace: NewTrace) -> None:
    """Record which memories stand in a trace; they are stored by now."""
    session.run("add_mentions", trace_id=trace.info.id, ids=names(trace.mentions))


def add_memories(session: Session, fresh: Sequence[tuple[NewMemory, Memory]], stamp: int) -> list[Memory]:
    """Store memories that are new, with terms, keys and NEXT edges. They come back with their seqs."""
    revision: int = session.value("next_revision")
    first: int = session.value("last_seq") + 1
    added = [replace(memory, seq=seq) for seq, (_, memory) in enumerate(fresh, start=first)]
    terms = {memory.seq: new.terms for (new, _), memory in zip(fresh, added, strict=True)}
    edges = _next_edges(session, added)
    session.run_many(
        "add_memory",
        [rows.memory_values(memory, term_count=len(terms[memory.seq])) for memory in added],
    )
    session.run_many("add_keywords", [rows.keyword_values(*of_memory) for of_memory in terms.items()])
    keys = {memory.seq: new.key for (new, _), memory in zip(fresh, added, strict=True)}
    put_keys(session, stamp, keys, revision)
    put_edges(session, edges, revision)
    return added


def _next_edges(session: Session, added: Sequence[Memory]) -> list[Edge]:
    last: dict[str, int | None] = {}
    edges = []
    for memory in added:
        if memory.conversation is None:
            continue
        if memory.conversation not in last:
            last[memory.conversation] = session.value(
                "last_of_conversation", conversation=memory.conversation
            )
        before = last[memory.conversation]
        if before is not None:
            edges.append(Edge(before, memory.seq, NEXT, 1.0))
        last[memory.conversation] = memory.seq
    return edges


def forget(session: Session, seqs: Sequence[int]) -> int:
    """Delete memories and all that hangs on them; returns how many traces that were."""
    revision: int = session.value("next_revision")
    traces = len(session.rows("forget_traces", seqs=json.dumps(seqs)))
    values = [{"seq": seq} for seq in seqs]
    session.run_many("forget_keywords", values)
    if session.value("words_left"):
        session.run("rebuild_keywords")
    session.run_many("forget_memory", values)
    session.run("delete_statistics")
    session.run_many("add_forgotten", [{"seq": seq, "revision": revision} for seq in seqs])
    return traces


def put_edges(session: Session, edges: Iterable[Edge], revision: int) -> None:
    session.run_many(
        "put_edge",
        [
            {
                "source": edge.source,
                "target": edge.target,
                "type": edge.type,
                "weight": edge.weight,
                "revision": revision,
            }
            for edge in edges
        ],
    )


def put_keys(session: Session, stamp: int, keys: Mapping[int, bytes], revision: int) -> None:
    session.run_many(
        "put_key",
        [{"seq": seq, "stamp": stamp, "revision": revision, "body": body} for seq, body in keys.items()],
    )


def find_stamp(session: Session, stamp: KeyStamp) -> int:
    """The number of a stamp by its identity."""
    number: int | None = session.value("find_stamp", model_id=stamp.model_id, key_version=stamp.key_version)
    return _NO_STAMP if number is None else number


def stamp_number(session: Session, stamp: KeyStamp) -> int:
    """The number of a stamp, which is stored if it is new."""
    number = find_stamp(session, stamp)
    if number == _NO_STAMP:
        number = session.value(
            "add_stamp", model_id=stamp.model_id, model_name=stamp.model_name, key_version=stamp.key_version
        )
    return number


def changed_rows(session: Session, since: int) -> MemoryRows:
    """Rows that are new, or have a new key, after revision `since`."""
    row = session.row("current_stamp")
    number, activated = (row[0], row[4]) if row else (_NO_STAMP, 0)
    size = session.value("key_size", stamp=number) or 0
    if since < activated:
        count, found = (
            session.value("count_all_rows", stamp=number),
            session.iterate("all_rows", stamp=number),
        )
    else:
        count = session.value("count_new_rows", stamp=number, since=since)
        found = session.iterate("new_rows", stamp=number, since=since)
    return rows.memory_rows_of(found, count=count, key_size=size)
