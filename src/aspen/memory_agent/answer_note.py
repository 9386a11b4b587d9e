"""The note that an answer is written from: who one is and what one believes first, framed as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aspen.dates import written_date
from aspen.memory_agent.answer import Evidence
from aspen.memory_agent.evidence import IDENTITY
from aspen.memory_injector import Note
from aspen.memory_injector.framing import CLOSING, OPENING
from aspen.memory_rephraser import as_data, as_name
from aspen.types import Memory, MemoryType, Role

_LABELS = {MemoryType.SELF: "Self", MemoryType.BELIEF: "Belief", MemoryType.PATTERN: "Pattern"}
_SHORTEST = 20
"""What is left of a memory that was cut has this many characters or so: less would say nothing."""


def write_answer_note(
    evidence: Sequence[Evidence], *, budget: int, count_tokens: Callable[[str], int]
) -> Note | None:
    """A note of at most `budget` tokens; None if there is no evidence, or none of it fits.

    The best come in first, until the budget is full; a memory longer than half of it is cut, which an ellipsis shows.
    The lines then stand with self, belief and pattern before the others, best first. Equal texts make one line.
    """
    frame = count_tokens(f"{OPENING}\n{CLOSING}\n")
    lines: dict[str, tuple[Memory, str]] = {}
    used = frame
    for one in evidence:
        line = _line(one.memory, budget=(budget - frame) // 2, count_tokens=count_tokens)
        cost = count_tokens(f"{line}\n")
        words = as_data(one.memory.text).casefold()
        if words not in lines and used + cost <= budget:
            lines[words] = (one.memory, line)
            used += cost
    told = list(lines.values())
    while told:
        ordered = sorted(told, key=lambda entry: entry[0].type not in IDENTITY)
        text = "\n".join([OPENING, *(line for _, line in ordered), CLOSING])
        tokens = count_tokens(text)
        if tokens <= budget:
            return Note(text, tokens, tuple(memory.id for memory, _ in ordered))
        told.pop()  # lines can cost more together than one by one
    return None


def as_list(evidence: Sequence[Evidence]) -> str:
    """The memories themselves as an answer, one a line."""
    return "\n".join(_told(one.memory, as_data(one.memory.text)) for one in evidence)


def _line(memory: Memory, *, budget: int, count_tokens: Callable[[str], int]) -> str:
    words = as_data(memory.text)
    line = _told(memory, words)
    while len(words) > _SHORTEST and count_tokens(line) > budget:
        words = words[: len(words) * 3 // 4]
        words = words.rpartition(" ")[0] or words  # whole words, in scripts that part them by spaces
        line = _told(memory, f"{words} ...")
    return line


def _told(memory: Memory, words: str) -> str:
    """'- Belief of Runa: "Life first." (27 August 2023)'"""
    date = f" ({written_date(memory.said_at)})" if memory.said_at else ""
    name = "the user" if memory.speaker == Role.USER else as_name(memory.speaker) if memory.speaker else ""
    if memory.type in _LABELS:
        who = f"{_LABELS[memory.type]} of {name}" if name else _LABELS[memory.type]
    else:
        who = f"{name[0].upper()}{name[1:]} said" if name else "Noted"
    return f'- {who}: "{words}"{date}'
