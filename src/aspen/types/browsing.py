"""What looking through memories answers: pages, pairs of duplicates, and what forgetting would take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aspen.types.memories import Memory


class MemorySort(StrEnum):
    """In which order memories are listed; of equal ones the newest comes first."""

    NEWEST = "newest"  # stored last
    OLDEST = "oldest"  # stored first
    PRIORITY = "priority"  # what matters most just now
    USED = "used"  # used last; those never used come at the end


@dataclass(frozen=True, slots=True)
class MemoryPage:
    """A part of a list of memories.

    priorities: of each memory in [0, 1], at the moment of the first page; next: the cursor of the page after this one,
    None at the end; total: how many memories the whole list has just now.
    """

    memories: tuple[Memory, ...]
    priorities: tuple[float, ...]
    next: str | None
    total: int


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two memories that seem to say the same; `first` was stored before `second`.

    similarity: 1 where the words are equal, else the cosine of the whitened keys, below 1.
    """

    first: Memory
    second: Memory
    similarity: float


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting some memories would delete.

    memories: themselves; summaries: pattern memories that were made of them; traces: ids of the traces in which one of
    all these stands, newest first; relations: how many lead from or to one of them, those between turns included.
    """

    memories: tuple[Memory, ...]
    summaries: tuple[Memory, ...]
    traces: tuple[str, ...]
    relations: int
