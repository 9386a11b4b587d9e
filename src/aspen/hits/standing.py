"""What is known of a memory beside its text: how much it matters just now, and what corrected it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from aspen.hits.superseded import newest_versions
from aspen.memory_graph import priority_of
from aspen.repository import Repository
from aspen.types import Memory


@dataclass(frozen=True, slots=True)
class Standing:
    """A memory, its priority just now in [0, 1], and the id of what holds instead, where it was corrected."""

    memory: Memory
    priority: float
    corrected_by: str | None

    def data(self) -> dict[str, Any]:
        """The fields of the memory, with `priority` and `corrected_by`."""
        known = {field.name: getattr(self.memory, field.name) for field in fields(self.memory)}
        return {**known, "priority": self.priority, "corrected_by": self.corrected_by}


def standings(repository: Repository, memories: Sequence[Memory]) -> list[Standing]:
    """Of each memory, in their order."""
    newest, now = newest_versions(repository, [memory.seq for memory in memories]), datetime.now(UTC)
    return [
        Standing(
            memory, priority_of(memory, now=now), newest[memory.seq].id if memory.seq in newest else None
        )
        for memory in memories
    ]
