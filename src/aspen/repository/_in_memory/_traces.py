"""The traces of an in-memory store."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from aspen.repository.values import NewTrace, TraceInfo


class Traces:
    """Traces by id, in the order in which they were stored."""

    def __init__(self) -> None:
        self._traces: dict[str, NewTrace] = {}

    def __len__(self) -> int:
        return len(self._traces)

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._traces

    def add(self, trace: NewTrace) -> None:
        """Keep a trace, unless there is one of its id."""
        self._traces.setdefault(trace.info.id, trace)

    def body(self, trace_id: str) -> bytes | None:
        """The encoded trace, None where there is none."""
        return self._traces[trace_id].body if trace_id in self._traces else None

    def mentions(self, trace_id: str) -> frozenset[str] | None:
        """Ids of the memories that it mentions, None where there is no such trace."""
        return frozenset(self._traces[trace_id].mentions) if trace_id in self._traces else None

    def newest_first(self, *, conversation: str | None, seed: int | None) -> list[TraceInfo]:
        """What is known of those that fit what is not None."""
        infos = [trace.info for trace in reversed(self._traces.values())]
        return [
            info for info in infos if conversation in (None, info.conversation) and seed in (None, info.seed)
        ]

    def of(self, trace_ids: AbstractSet[str], *, mentioning: AbstractSet[str]) -> set[str]:
        """Which there are of these traces, and of those in which one of the memories `mentioning` stands."""
        return {
            trace_id
            for trace_id, trace in self._traces.items()
            if trace_id in trace_ids or mentioning & set(trace.mentions)
        }

    def forget(self, trace_ids: AbstractSet[str], *, mentioning: AbstractSet[str]) -> set[str]:
        """Drop what `of` tells; returns which went."""
        lost = self.of(trace_ids, mentioning=mentioning)
        for trace_id in lost:
            del self._traces[trace_id]
        return lost

    def size(self) -> int:
        """Bytes of all traces."""
        return sum(trace.info.size for trace in self._traces.values())
