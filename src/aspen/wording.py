"""Numbers as people write them."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB")


def size_in_words(size: int) -> str:
    """A number of bytes in powers of 1,000: "4.4 GB"."""
    power = min(len(_UNITS) - 1, max(0, (len(str(size)) - 1) // 3))
    return f"{size / 1000**power:,.1f} {_UNITS[power]}" if power else counted(size, "byte", "bytes")


def counted(number: int, one: str, many: str) -> str:
    """A number of things: "1 memory", "2,000 memories"."""
    return f"{number:,} {one if number == 1 else many}"
