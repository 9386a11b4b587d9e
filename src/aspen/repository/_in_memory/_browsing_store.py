"""Looking through memories: the `BrowsingStore` in memory, which reads all of them each time."""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from aspen.repository import _browsing as browsing
from aspen.repository import _incoming as incoming
from aspen.repository._in_memory._columns import priority_rows
from aspen.repository._in_memory._open_store import OpenStore
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
        incoming.checked_limit(limit)
        incoming.check_filters(conversation=conversation, speaker=speaker)
        with self._lock:
            found = self._memories.newest_first(conversation=conversation, speaker=speaker, before=before)
            return found[:limit]

    def conversations(self) -> builtins.list[Conversation]:
        with self._lock:
            return self._memories.conversations()

    def page(
        self, wanted: MemoryFilter, *, newest_first: bool = True, beyond: int | None = None, limit: int
    ) -> builtins.list[Memory]:
        incoming.checked_limit(limit)
        with self._lock:
            found = self._wanted(wanted)
            if newest_first:
                found = [memory for memory in reversed(found) if beyond is None or memory.seq < beyond]
            else:
                found = [memory for memory in found if beyond is None or memory.seq > beyond]
            return found[:limit]

    def count(self, wanted: MemoryFilter) -> int:
        with self._lock:
            return len(self._wanted(wanted))

    def priority_rows(self, wanted: MemoryFilter) -> PriorityRows:
        with self._lock:
            return priority_rows(self._wanted(wanted))

    def growth(self) -> builtins.list[DayCount]:
        with self._lock:
            memories = _days(memory.created_at for memory in self._memories)
            traces = _days(
                trace.created_at for trace in self._traces.newest_first(conversation=None, seed=None)
            )
            return [
                browsing.day_count(day, memories[day], traces[day]) for day in sorted({*memories, *traces})
            ]

    def _wanted(self, wanted: MemoryFilter) -> builtins.list[Memory]:
        """Those that fit, ascending by seq."""
        wanted, ranges = browsing.checked_filter(wanted), browsing.term_ranges(wanted)
        return [
            memory
            for memory in self._memories
            if _fits(memory, wanted) and all(words.has_one(self._terms.of(memory.seq)) for words in ranges)
        ]


def _fits(memory: Memory, wanted: MemoryFilter) -> bool:
    when = memory.said_at or memory.created_at
    return (
        wanted.type in (None, memory.type)
        and (wanted.tag is None or wanted.tag in memory.tags)
        and wanted.speaker in (None, memory.speaker)
        and wanted.conversation in (None, memory.conversation)
        and wanted.provenance in (None, memory.provenance)
        and wanted.stability in (None, memory.stability)
        and (wanted.since is None or when >= wanted.since)
        and (wanted.until is None or when < wanted.until)
    )


def _days(times: Iterable[datetime]) -> Counter[int]:
    """How many times lie in each day, counted from the first."""
    return Counter((incoming.to_microseconds(time) - browsing.FIRST_DAY) // browsing.DAY for time in times)
