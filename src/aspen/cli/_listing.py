"""Memories as a table."""

from __future__ import annotations

from collections.abc import Sequence

from aspen.cli._screen import date_of, on_terminal, put_table
from aspen.cli._standing import Standing, correction, uses


def put_list(listed: Sequence[Standing]) -> None:
    """A table of memories: short on a terminal, with all columns elsewhere."""
    if on_terminal():
        below = [" · ".join(filter(None, _remarks(one))) for one in listed]
        columns = ["id", "date", "type", "priority", "text"]
        put_table(columns, [_row(one) for one in listed], numbers=["priority"], below=below)
        return
    columns = [
        "id",
        "date",
        "conversation",
        "speaker",
        "type",
        "priority",
        "used",
        "tags",
        "corrected_by",
        "text",
    ]
    put_table(columns, [_full_row(one) for one in listed])


def _row(one: Standing) -> list[str]:
    memory = one.memory
    return [memory.id, date_of(memory.said_at), memory.type.value, f"{one.priority:.2f}", memory.text]


def _full_row(one: Standing) -> list[str]:
    memory = one.memory
    return [
        memory.id,
        date_of(memory.said_at),
        memory.conversation or "",
        memory.speaker or "",
        memory.type.value,
        f"{one.priority:.2f}",
        str(memory.access_count),
        ", ".join(memory.tags),
        one.corrected_by or "",
        memory.text,
    ]


def _remarks(one: Standing) -> list[str]:
    memory = one.memory
    return [
        memory.conversation or "",
        memory.speaker or "",
        ", ".join(memory.tags),
        uses(memory.access_count),
        correction(one.corrected_by),
    ]
