"""Memories, traces and edges: steps inside one transaction, shared by the methods of the repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aspen.repository import _changing as changing
from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._postgres._edges import count_versions, put_edges
from aspen.repository._postgres._keys import put_keys
from aspen.repository._postgres._names import add_names
from aspen.repository._postgres._pool import Session
from aspen.repository.values import CORRECTED, NEXT, Attached, NewMemory, NewTrace, TraceInfo
from aspen.types import Edge, Memory, Provenance


def by_id(session: Session, ids: Iterable[str]) -> dict[str, Memory]:
    """The stored ones of `ids`."""
    wanted = [name for name in ids if incoming.findable(name)]
    found = session.rows("memories_by_id", ids=wanted)
    return {memory.id: memory for memory in map(rows.memory_of, found)}


def check_versions(session: Session, versions: Mapping[str, int] | None) -> None:
    """See `Repository`: nobody else writes while this transaction does."""
    if versions:
        changing.check_versions(versions, by_id(session, versions))


def seqs_by_id(session: Session, ids: Iterable[str]) -> dict[str, int]:
    """The seqs of the stored ones of `ids`."""
    return dict(session.rows("seqs_by_id", ids=[name for name in ids if incoming.findable(name)]))


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
    return {seq for (seq,) in session.rows("existing_seqs", seqs=incoming.storable_seqs(seqs))}


def check_traces(session: Session, memories: Sequence[NewMemory], trace: NewTrace | None) -> bool:
    """NotFound for a `trace_id` or a mention that is neither stored nor on its way; whether `trace` is stored."""
    named = dict.fromkeys(new.trace_id for new in memories if new.trace_id is not None)
    stored = {name for (name,) in session.rows("known_traces", ids=list(named))} if named else set()
    for trace_id in named:
        if trace_id not in stored and not (trace and trace_id == trace.info.id):
            raise incoming.unknown("trace", trace_id)
    if trace:
        _check_mentions(session, trace, coming={new.id for new in memories})
    return trace is not None and trace.info.id in stored


def _check_mentions(session: Session, trace: NewTrace, *, coming: set[str]) -> None:
    known = seqs_by_id(session, trace.mentions).keys() | coming
    for mention in trace.mentions:
        if mention not in known:
            raise incoming.unknown("memory", mention)


def add_lone_trace(session: Session, trace: NewTrace) -> None:
    """Store a trace that no memory refers to, unless it is stored; NotFound for a mention that is not stored."""
    _check_mentions(session, trace, coming=set())
    if session.rows("known_traces", ids=[trace.info.id]):
        return
    revision: int = session.value("next_revision")
    _add_trace(session, trace, revision)
    session.run("add_trace_mentions", number=revision, ids=list(dict.fromkeys(trace.mentions)))


def traces(session: Session, *, conversation: str | None, seed: int | None, limit: int) -> list[TraceInfo]:
    """What is known of the traces that fit what is not None, newest first."""
    if seed is not None:
        found = session.rows("list_traces_of_seed", conversation=conversation, seed=seed, limit=limit)
    elif conversation is not None:
        found = session.rows("list_traces_of_conversation", conversation=conversation, limit=limit)
    else:
        found = session.rows("list_traces", limit=limit)
    return [rows.trace_info_of(row) for row in found]


def add_memories(
    session: Session, fresh: Sequence[tuple[NewMemory, Memory]], *, stamp: int, trace: NewTrace | None
) -> list[Memory]:
    """Store memories that are new, with all that belongs to them and NEXT edges. They come back with their seqs.

    `trace` is new too, and one of them refers to it.
    """
    revision: int = session.value("next_revision")
    added = [replace(memory, seq=seq) for seq, (_, memory) in enumerate(fresh, start=session.last_seq + 1)]
    session.run("keep_last_seq", seq=added[-1].seq)
    new_by_seq = {memory.seq: new for (new, _), memory in zip(fresh, added, strict=True)}
    edges = _next_edges(session, added)
    if trace:
        _add_trace(session, trace, revision)
    session.run_many(
        "add_memories", [rows.memory_values(memory, new=new_by_seq[memory.seq]) for memory in added]
    )
    session.run_many(
        "add_postings",
        [
            {"seq": seq, "term": term, "position": position}
            for seq, new in new_by_seq.items()
            for position, term in enumerate(new.terms)
        ],
    )
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
    if trace:  # its mentions may be among the new memories
        session.run("add_trace_mentions", number=revision, ids=list(dict.fromkeys(trace.mentions)))
    return added


def _add_trace(session: Session, trace: NewTrace, revision: int) -> None:
    info = trace.info
    session.run(
        "add_trace",
        number=revision,
        id=info.id,
        conversation=info.conversation,
        created_at=incoming.to_microseconds(info.created_at),
        seed=info.seed,
        level=info.level,
        size=info.size,
        body=trace.body,
    )


def _next_edges(session: Session, added: Sequence[Memory]) -> list[Edge]:
    names = list(dict.fromkeys(memory.conversation for memory in added if memory.conversation is not None))
    last: dict[str, int] = dict(session.rows("last_of_conversations", conversations=names)) if names else {}
    edges = []
    for memory in added:
        if memory.conversation is None:
            continue
        if memory.conversation in last:
            edges.append(Edge(last[memory.conversation], memory.seq, NEXT, 1.0))
        last[memory.conversation] = memory.seq
    return edges


def amend(session: Session, memory: Memory) -> None:
    """Write what can be amended of a memory as it is now."""
    session.run("amend_memory", seq=memory.seq, **rows.kind_values(memory))
    session.run("amend_edges", seq=memory.seq, type=memory.type.value)
    session.run("hand_over_again", seq=memory.seq, revision=session.value("next_revision"))


def attached(session: Session, seqs: Sequence[int]) -> Attached:
    """What `forget` would take along."""
    traces = tuple(rows.trace_info_of(row) for row in session.rows("attached_traces", seqs=seqs))
    return Attached(traces, session.value("count_attached_edges", seqs=seqs))


def forget(session: Session, seqs: Sequence[int]) -> int:
    """Delete memories and all that hangs on them; returns how many traces that were."""
    revision: int = session.value("next_revision")
    traces = len(session.rows("forget_traces", seqs=seqs))
    session.run("forget_postings", seqs=seqs)
    count_versions(session, [seq for (seq,) in session.rows("corrected_by", seqs=seqs, type=CORRECTED)])
    gone = [row for row in session.rows("forget_memories", seqs=seqs) if row[1] is not None]
    if gone:
        session.run(
            "close_gaps",
            seqs=[seq for seq, _ in gone],
            conversations=[name for _, name in gone],
            type=NEXT,
            provenance=Provenance.INFERRED.value,
            revision=revision,
        )
    session.run("delete_statistics")
    session.run("add_forgotten", seqs=seqs, revision=revision)
    return traces
