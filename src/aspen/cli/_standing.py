"""Remarks on a memory: what corrected it, how often it was used; and all of it as data."""

from __future__ import annotations

from aspen.cli._screen import as_data
from aspen.hits import Standing


def standing_data(standing: Standing) -> dict[str, object]:
    """The memory as plain data for JSON, with `priority` and `corrected_by`."""
    return {
        **as_data(standing.memory),
        "priority": standing.priority,
        "corrected_by": standing.corrected_by,
    }


def correction(memory_id: str | None) -> str:
    """A remark on a memory that was corrected; empty for the others."""
    return f"corrected by {memory_id}" if memory_id else ""


def uses(count: int) -> str:
    """How often, in words; empty for never."""
    return "" if count == 0 else f"used {'once' if count == 1 else f'{count:,} times'}"
