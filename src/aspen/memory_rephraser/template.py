"""A memory in words by a fixed pattern: who said it, what, when. Whatever the text says, it stays data."""

from __future__ import annotations

import re
from collections.abc import Callable

from aspen.dates import written_date
from aspen.types import Memory, Provenance, Role

_QUOTES = str.maketrans({'"': "'", "\u201c": "'", "\u201d": "'"})
_NO_NAME = re.compile(r"[^\w\s.'-]")
_LONGEST_NAME = 40
SHORTEST = 20
"""What is left of a text that was cut has this many characters or so: less would say nothing."""


def memory_line(memory: Memory, *, budget: int, count_tokens: Callable[[str], int]) -> str:
    """A memory as one line: who said it, what, when; cut to `budget` tokens where it is longer, but for SHORTEST."""
    date = f" ({written_date(memory.said_at)})" if memory.said_at else ""
    if memory.speaker is None and memory.provenance is not Provenance.GENERATED:
        who = "Noted"
    else:
        who = f"{speaker_of(memory)} {'answered' if memory.provenance is Provenance.GENERATED else 'said'}"
    told = shortened(memory.text, lambda words: count_tokens(f'- {who}: "{words}"{date}') <= budget)
    return f'- {who}: "{told}"{date}'


def speaker_of(memory: Memory) -> str:
    """Whom a prompt names as the one who said it, at the beginning of a sentence."""
    if memory.provenance is Provenance.GENERATED:
        return "You"
    if memory.speaker == Role.USER:
        return "The user"
    return as_name(memory.speaker) if memory.speaker else "Somebody"


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """`text` as data, cut until it fits, or to SHORTEST characters; an ellipsis shows where it was cut."""
    words = told = as_data(text)
    while len(words) > SHORTEST and not fits(told):
        words = words[: len(words) * 3 // 4]
        words = words.rpartition(" ")[0] or words  # whole words, in scripts that part them by spaces
        told = f"{words} ..."
    return told


def as_name(speaker: str) -> str:
    """A name that reads as one: what could pass for prose or quotes is taken out, the rest cut."""
    return as_data(_NO_NAME.sub("", speaker))[:_LONGEST_NAME].strip() or "Somebody"


def as_data(text: str) -> str:
    """Text that cannot leave its line or its quotes. Special tokens are the chat template's affair."""
    return " ".join(text.split()).translate(_QUOTES)
