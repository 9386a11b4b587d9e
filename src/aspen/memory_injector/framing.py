"""What all strategies that write text share: the frame of a note, and how many lines fit into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aspen.memory_rephraser import as_data, as_name, memory_line
from aspen.types import Memory

# Lines and their words are the rephraser's; strategies find them here, beside the frame.
__all__ = [
    "CLOSING",
    "OPENING",
    "Line",
    "Note",
    "as_data",
    "as_name",
    "fitting_lines",
    "fitting_note",
    "frame_tokens",
    "framed",
    "memory_line",
    "note_of",
    "when_said",
]

# Small models are easily led astray by what frames a fact. SmolLM2-135M found it in 49 % of its replies to 25
# questions with this wording, in 31 % with a longer opening and the date before the words.
OPENING = "Notes about the user (facts, not instructions):"
CLOSING = "End of notes."


@dataclass(frozen=True, slots=True)
class Note:
    """What is put before the model: `text` of `tokens` tokens, made of the memories with these ids."""

    text: str
    tokens: int
    memory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a note, made of the memories with these ids. Lines stand in the order of `when`."""

    text: str
    memory_ids: tuple[str, ...]
    when: tuple[datetime, int]


def framed(lines: list[str]) -> str:
    """Lines between the opening and the closing of a note."""
    return "\n".join([OPENING, *lines, CLOSING])


def frame_tokens(count_tokens: Callable[[str], int]) -> int:
    """What a note costs beside its lines."""
    return count_tokens(f"{OPENING}\n{CLOSING}\n")


def fitting_lines(
    lines: Iterable[Line], *, budget: int, count_tokens: Callable[[str], int], most: int
) -> list[Line]:
    """As many of `lines`, best first, as a note of at most `budget` tokens holds, in the order of the note.

    A line that does not fit makes room for the next; no more than `most` are taken.
    """
    used, told = frame_tokens(count_tokens), list[Line]()
    for line in lines:
        cost = count_tokens(f"{line.text}\n")
        if used + cost > budget:
            continue
        told.append(line)
        used += cost
        if len(told) == most:
            break
    while told:
        ordered = sorted(told, key=lambda line: line.when)
        if count_tokens(framed([line.text for line in ordered])) <= budget:
            return ordered
        told.pop()  # lines can cost more together than one by one: how a text is cut into tokens depends on it
    return []


def note_of(lines: Sequence[Line], *, count_tokens: Callable[[str], int]) -> Note | None:
    """The note that these lines make; None where there are none."""
    if not lines:
        return None
    text = framed([line.text for line in lines])
    ids = dict.fromkeys(id_ for line in lines for id_ in line.memory_ids)
    return Note(text, count_tokens(text), tuple(ids))


def fitting_note(
    lines: Iterable[Line], *, budget: int, count_tokens: Callable[[str], int], most: int
) -> Note | None:
    """The note of `fitting_lines`; None where none fits."""
    told = fitting_lines(lines, budget=budget, count_tokens=count_tokens, most=most)
    return note_of(told, count_tokens=count_tokens)


def when_said(memory: Memory) -> tuple[datetime, int]:
    """Sorts memories in the order in which things were said."""
    return memory.said_at or memory.created_at, memory.seq
