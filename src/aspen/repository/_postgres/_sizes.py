"""How much a store holds, and how much room each part takes."""

from __future__ import annotations

from aspen.repository._postgres._pool import Session
from aspen.repository.values import StoreStats


def sizes(session: Session) -> StoreStats:
    """Counts, and the values of each part in bytes, as they are stored, without indexes.

    `file` is what all tables and indexes of the schema fill on the server's disk, with those of other tenants.
    """
    memories, traces, edges, conversations = session.rows("counts")[0]
    parts = {part: int(size) for part, size in session.rows("sizes")}
    parts["file"] = int(session.value("file_size"))
    return StoreStats(memories=memories, traces=traces, edges=edges, conversations=conversations, bytes=parts)
