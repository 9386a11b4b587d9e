"""The memory note: a few dated lines of what was said before, framed as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from aspen.memory_injector.framing import CLOSING, OPENING, Note, as_data, framed, memory_line, when_said
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.text import prepare_text
from aspen.resonance_search import query_terms
from aspen.types import Hit, Memory

FLOOR = 0.5
"""A hit weaker than this share of the best one is left out: it distracts more than it helps."""
_SAME = 2 / 3
"""A turn that asks, and has this share of its words in the prompt, asks what the prompt asks."""


class MemoryNote:
    """Recalls for the message, and puts a note of it into the system message."""

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        return prepare_note(situation)


def prepare_note(
    situation: Situation,
    *,
    asked: str | None = None,
    reason: str = "",
    figures: Mapping[str, float] | None = None,
) -> Prepared:
    """The note, for a strategy that was `asked` for and cannot do its work for this `reason`."""
    note = write_note(
        situation.recall(situation.message).hits,
        prompt=situation.message,
        budget=situation.budget,
        count_tokens=situation.count_tokens,
    )
    return prepare_text(
        situation, note, strategy=StrategyName.NOTE, asked=asked, reason=reason, figures=figures
    )


def write_note(
    hits: Sequence[Hit], *, prompt: str, budget: int, count_tokens: Callable[[str], int], most: int = 4
) -> Note | None:
    """A note of at most `budget` tokens from the best hits; None if nothing is worth a line or fits."""
    return note_of(
        choose_lines(hits, prompt=prompt, budget=budget, count_tokens=count_tokens, most=most),
        count_tokens=count_tokens,
    )


def note_of(told: Sequence[tuple[Memory, str]], *, count_tokens: Callable[[str], int]) -> Note | None:
    """The note that memories with their lines make; None where there are none."""
    if not told:
        return None
    text = framed([line for _, line in told])
    return Note(text, count_tokens(text), tuple(memory.id for memory, _ in told))


def choose_lines(
    hits: Sequence[Hit], *, prompt: str, budget: int, count_tokens: Callable[[str], int], most: int = 4
) -> list[tuple[Memory, str]]:
    """The memories that a note of at most `budget` tokens tells, each with its line, in the order of the note.

    Hits are taken best first, at most `most`, until the budget is full; the lines then stand in the order in
    which things were said. The same words said twice make one line, and `prompt` asked before makes none: it
    would be the best hit each time, and says nothing; nor does what was corrected. A memory longer than half of the
    budget is cut, which an ellipsis shows.
    """
    frame = count_tokens(f"{OPENING}\n{CLOSING}\n")
    lines: dict[str, tuple[Memory, str]] = {}
    used = frame
    asked, asked_words = set(query_terms(prompt)), _words(prompt)
    telling = [
        hit for hit in hits if hit.corrected_by is None and not _asks_the_same(hit, asked, asked_words)
    ]
    best = max((hit.score for hit in telling), default=0.0)
    for hit in telling:
        # A best score of 0 means that there is nothing to compare with: one memory, or several alike.
        if len(lines) == most or hit.score < max(FLOOR * best, 0.0):
            break
        line = memory_line(hit.memory, budget=(budget - frame) // 2, count_tokens=count_tokens)
        cost = count_tokens(f"{line}\n")
        words = as_data(hit.memory.text).casefold()
        if words in lines or used + cost > budget:
            continue
        lines[words] = (hit.memory, line)
        used += cost
    told = list(lines.values())
    while told:
        ordered = sorted(told, key=lambda entry: when_said(entry[0]))
        if count_tokens(framed([line for _, line in ordered])) <= budget:
            return ordered
        told.pop()  # lines can cost more together than one by one: how a text is cut into tokens depends on it
    return []


def _asks_the_same(hit: Hit, asked: set[str], asked_words: list[str]) -> bool:
    said = hit.memory.text
    if _words(said) == asked_words:
        return True
    told = set(query_terms(said))
    return said.rstrip().endswith("?") and len(told & asked) >= _SAME * len(told)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
