"""How a memory stands, and how that is told: what corrected it, how often it was used."""

from __future__ import annotations

from collections.abc import Sequence

from aspen import hits
from aspen.aspen import Aspen
from aspen.hits import Standing
from aspen.types import Memory

__all__ = ["Standing", "correction", "standings", "uses"]


def standings(aspen: Aspen, memories: Sequence[Memory]) -> list[Standing]:
    """Of each memory, in their order."""
    return hits.standings(aspen.repository, memories)


def correction(memory_id: str | None) -> str:
    """A remark on a memory that was corrected; empty for the others."""
    return f"corrected by {memory_id}" if memory_id else ""


def uses(count: int) -> str:
    """How often, in words; empty for never."""
    return "" if count == 0 else f"used {'once' if count == 1 else f'{count:,} times'}"
