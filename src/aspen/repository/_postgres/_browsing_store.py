"""Looking through memories: the `BrowsingStore` of Postgres."""

from __future__ import annotations

import builtins
from typing import Any

from aspen.repository import _browsing as browsing
from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._postgres import _columns as columns
from aspen.repository._postgres._open_store import OpenStore
from aspen.repository.values import Conversation, DayCount, MemoryFilter, PriorityRows
from aspen.types import Memory


class BrowsingStore(OpenStore):
    """The part of the repository that looks through memories."""

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
        with self._pool.reading() as session:
            if conversation is None:
                found = session.rows("list_memories", **values)
            else:
                found = session.rows("list_conversation", conversation=conversation, **values)
        return [rows.memory_of(row) for row in found]

    def conversations(self) -> builtins.list[Conversation]:
        with self._pool.reading() as session:
            return [Conversation(*row) for row in session.rows("conversations")]

    def page(
        self, wanted: MemoryFilter, *, newest_first: bool = True, beyond: int | None = None, limit: int
    ) -> builtins.list[Memory]:
        values = _values(wanted, newest_first=newest_first, beyond=beyond)
        incoming.checked_limit(limit)
        with self._pool.reading() as session:
            if newest_first:
                found = session.rows("page_newest", limit=limit, **values)
            else:
                found = session.rows("page_oldest", limit=limit, **values)
        return [rows.memory_of(row) for row in found]

    def count(self, wanted: MemoryFilter) -> int:
        values = _values(wanted)
        with self._pool.reading() as session:
            everything = browsing.is_everything(wanted)
            count: int = (
                session.value("count_memories") if everything else session.value("count_wanted", **values)
            )
        return count

    def priority_rows(self, wanted: MemoryFilter) -> PriorityRows:
        values = _values(wanted)
        with self._pool.reading() as session:
            (found,) = session.rows("priority_rows", **values)
        return columns.priority_rows_of(found)

    def growth(self) -> builtins.list[DayCount]:
        with self._pool.reading() as session:
            found = session.rows("growth", first_day=browsing.FIRST_DAY, microseconds=browsing.DAY)
        return [browsing.day_count(*row) for row in found]


def _values(wanted: MemoryFilter, **bounds: Any) -> dict[str, Any]:
    """The parameters of the part `wanted` of a statement."""
    ranges = browsing.term_ranges(wanted)
    return {
        **browsing.filter_values(browsing.checked_filter(wanted), **bounds),
        "firsts": [words.first for words in ranges] or None,
        "lasts": [words.last for words in ranges] or None,
    }
