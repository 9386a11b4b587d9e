"""The backup of a store: all of its rows, in a store of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aspen.repository._postgres._pool import Session
from aspen.repository._sqlite import Session as Copy
from aspen.repository._sqlite import copied_to

_TABLES = {
    "copy_memories": "add_memory",
    "copy_terms": "add_keywords",
    "copy_mentions": "add_mention",
    "copy_accesses": "touch",
    "copy_edges": "put_edge",
    "copy_statistics": "save_statistics",
    "copy_forgotten": "add_forgotten",
}
"""Query -> the statement of the SQLite store that takes its rows."""
_OF_STAMPS = {
    "copy_keys": "put_key",
    "copy_head_keys": "put_head_key",
    "copy_traits": "add_trait",
    "copy_fragments": "put_fragment",
}


def back_up(session: Session, destination: Path) -> None:
    """Copy what the transaction sees to a file."""
    revision, last_seq, unrelated = session.row("counters") or (0, 0, 0)
    with copied_to(destination, revision=revision, last_seq=last_seq, unrelated=unrelated) as copy:
        for trace in session.each("copy_traces"):  # in the order in which they were stored
            copy.run("add_trace", **trace)
        for query, statement in _TABLES.items():
            copy.run_many(statement, session.each(query))
        for trace_id, ids in session.rows("copy_trace_mentions"):
            copy.run("add_trace_mentions", trace_id=trace_id, ids=ids)
        numbers = _copy_stamps(session, copy)
        for query, statement in _OF_STAMPS.items():
            copy.run_many(statement, _renumbered(session.each(query), numbers))


def _copy_stamps(session: Session, copy: Copy) -> dict[int, int]:
    """Number of a stamp -> its number in the copy."""
    numbers = {}
    for stamp in session.each("copy_stamps"):
        number, current, activated = (stamp.pop(name) for name in ("number", "current", "activated"))
        numbers[number] = copy.value("add_stamp", **stamp)
        if current:
            copy.run("make_stamp_current", stamp=numbers[number], revision=activated)
    return numbers


def _renumbered(rows: Iterator[dict[str, Any]], numbers: dict[int, int]) -> Iterator[dict[str, Any]]:
    return ({**row, "stamp": numbers[row["stamp"]]} for row in rows)
