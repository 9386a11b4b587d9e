"""Dates as Aspen writes them, whatever the locale of the process."""

from __future__ import annotations

from datetime import datetime

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def written_date(time: datetime) -> str:
    """The day in words: "8 May 2023"."""
    return f"{time.day} {MONTHS[time.month - 1]} {time.year}"
