"""How much a store holds, and how much room each part takes."""

from __future__ import annotations

from aspen.repository._sqlite._pool import Session
from aspen.repository.values import StoreStats

_TABLE_PARTS = {
    "memory": "text",
    "memory_key": "keys",
    "memory_head_key": "keys",
    "memory_fragment": "fragments",
    "mention": "names",
    "trait": "names",
    "trace": "traces",
    "edge": "edges",
    **{f"keyword_{part}": "keywords" for part in ("data", "idx", "content", "docsize", "config")},  # by FTS5
}


def sizes(session: Session) -> StoreStats:
    """Counts, and the pages of each part in bytes."""
    memories, traces, edges, conversations = session.rows("counts")[0]
    parts = dict.fromkeys(_TABLE_PARTS.values(), 0)
    for table, size in session.rows("sizes"):
        if table in _TABLE_PARTS:
            parts[_TABLE_PARTS[table]] += size
    parts["file"] = session.value("file_size")
    return StoreStats(memories=memories, traces=traces, edges=edges, conversations=conversations, bytes=parts)
