"""What is known of a memory beside its text: how much it matters now, how often it was used, what corrected it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aspen.aspen import Aspen
from aspen.cli._screen import as_data
from aspen.hits import newest_versions
from aspen.memory_graph import priority_of
from aspen.types import Memory


@dataclass(frozen=True, slots=True)
class Standing:
    """A memory, its priority just now in [0, 1], and the id of what holds instead, where it was corrected."""

    memory: Memory
    priority: float
    corrected_by: str | None

    def data(self) -> dict[str, object]:
        """The memory as plain data for JSON, with `priority` and `corrected_by`."""
        return {**as_data(self.memory), "priority": self.priority, "corrected_by": self.corrected_by}


def standings(aspen: Aspen, memories: Sequence[Memory]) -> list[Standing]:
    """Of each memory, in their order."""
    newest, now = newest_versions(aspen.repository, [memory.seq for memory in memories]), datetime.now(UTC)
    return [
        Standing(
            memory, priority_of(memory, now=now), newest[memory.seq].id if memory.seq in newest else None
        )
        for memory in memories
    ]


def correction(memory_id: str | None) -> str:
    """A remark on a memory that was corrected; empty for the others."""
    return f"corrected by {memory_id}" if memory_id else ""


def uses(count: int) -> str:
    """How often, in words; empty for never."""
    return "" if count == 0 else f"used {'once' if count == 1 else f'{count:,} times'}"
