"""Memories, traces and edges: steps inside one transaction, shared by the methods of the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aspen.repository import _changing as changing
from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite._edges import count_versions, put_edges
from aspen.repository._sqlite._keys import put_keys
from aspen.repository._sqlite._names import add_names
from aspen.repository._sqlite._pool import Session
from aspen.repository.values import CORRECTED, NEXT, Attached, NewMemory, NewTrace, TraceInfo
from aspen.types import Edge, Memory, Provenance


def names(wanted: Iterable[str]) -> str:
    """A JSON array for `json_each`, without what no row can match."""
    return json.dumps([name for name in wanted if incoming.findable(name)], ensure_ascii=False)


def by_id(session: Session, ids: Iterable[str]) -> dict[str, Memory]:
    """The stored ones of `ids`."""
    return {
        memory.id: memory for memory in map(rows.memory_of, session.rows("memories_by_id", ids=names(ids)))
    }


def check_versions(session: Session, versions: Mapping[str, int] | None) -> None:
    """See `Repository`: nobody else writes while this transaction does."""
    if versions:
        changing.check_versions(versions, by_id(session, versions))


def seqs_by_id(session: Session, ids: Iterable[str]) -> dict[str, int]:
    """The seqs of the stored ones of `ids`."""
    return dict(session.rows("seqs_by_id", ids=names(ids)))


def known_seqs(session: Session, ids: Iterable[str]) -> list[int]:
    """The seqs of memories, ascending; NotFound names the first unknown one."""
    wanted = list(ids)
    seqs = seqs_by_id(session, wanted)
    for memory_id in wanted:
        if memory_id not in seqs:
            raise incoming.unknown("memory", memory_id)
    return sorted(seqs.values())


def existing(session: Session, seqs: Iterable[int]) -> set[int]:
    """The stored ones of `seqs`."""
    wanted = json.dumps(incoming.storable_seqs(seqs))
    return {seq for (seq,) in session.rows("existing_seqs", seqs=wanted)}


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


def add_trace_mentions(session: Session, trace: NewTrace) -> None:
    """Record which memories stand in a trace; they are stored by now."""
    session.run("add_trace_mentions", trace_id=trace.info.id, ids=names(trace.mentions))


def traces(session: Session, *, conversation: str | None, seed: int | None, limit: int) -> list[TraceInfo]:
    """What is known of the traces that fit what is not None, newest first."""
    if seed is not None:
        found = session.rows("list_traces_of_seed", conversation=conversation, seed=seed, limit=limit)
    elif conversation is not None:
        found = session.rows("list_traces_of_conversation", conversation=conversation, limit=limit)
    else:
        found = session.rows("list_traces", limit=limit)
    return [rows.trace_info_of(row) for row in found]


def add_memories(session: Session, fresh: Sequence[tuple[NewMemory, Memory]], stamp: int) -> list[Memory]:
    """Store memories that are new, with all that belongs to them and NEXT edges. They come back with their seqs."""
    revision: int = session.value("next_revision")
    first: int = session.value("last_seq") + 1
    added = [replace(memory, seq=seq) for seq, (_, memory) in enumerate(fresh, start=first)]
    new_by_seq = {memory.seq: new for (new, _), memory in zip(fresh, added, strict=True)}
    edges = _next_edges(session, added)
    session.run_many(
        "add_memory", [rows.memory_values(memory, new=new_by_seq[memory.seq]) for memory in added]
    )
    session.run_many("add_keywords", [rows.keyword_values(seq, new.terms) for seq, new in new_by_seq.items()])
    add_names(session, new_by_seq)
    put_keys(
        session,
        stamp,
        keys={seq: new.key for seq, new in new_by_seq.items()},
        head_keys={seq: new.head_keys for seq, new in new_by_seq.items() if new.head_keys is not None},
        traits={seq: new.traits for seq, new in new_by_seq.items()},
        revision=revision,
    )
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


def amend(session: Session, memory: Memory) -> None:
    """Write what can be amended of a memory as it is now."""
    session.run("amend_memory", seq=memory.seq, **rows.kind_values(memory))
    session.run("hand_over_again", seq=memory.seq, revision=session.value("next_revision"))


def attached(session: Session, seqs: Sequence[int]) -> Attached:
    """What `forget` would take along."""
    wanted = json.dumps(seqs)
    traces = tuple(rows.trace_info_of(row) for row in session.rows("attached_traces", seqs=wanted))
    return Attached(traces, session.value("count_attached_edges", seqs=wanted))


def _forget_words(session: Session, seqs: Sequence[int]) -> None:
    wanted = json.dumps(seqs)
    words = {word for (terms,) in session.rows("terms_of", seqs=wanted) for word in terms.encode().split()}
    session.run_many("forget_keywords", [{"seq": seq} for seq in seqs])
    beginnings = {word[:end].hex().upper() for word in words for end in range(1, len(word) + 1)}
    if session.value("words_left", beginnings=json.dumps(sorted(beginnings))):
        session.run("rebuild_keywords")


def forget(session: Session, seqs: Sequence[int]) -> int:
    """Delete memories and all that hangs on them; returns how many traces that were."""
    revision: int = session.value("next_revision")
    traces = len(session.rows("forget_traces", seqs=json.dumps(seqs)))
    _forget_words(session, seqs)
    corrected = session.rows("corrected_by", seqs=json.dumps(seqs), type=CORRECTED)
    count_versions(session, [seq for (seq,) in corrected])
    gone = session.rows("places_of", seqs=json.dumps(seqs))
    session.run_many("forget_memory", [{"seq": seq} for seq in seqs])
    provenance = Provenance.INFERRED.value
    session.run_many(
        "close_gap",
        [
            {"conversation": name, "seq": seq, "type": NEXT, "provenance": provenance, "revision": revision}
            for seq, name in gone
        ],
    )
    session.run("delete_statistics")
    session.run_many("add_forgotten", [{"seq": seq, "revision": revision} for seq in seqs])
    return traces
