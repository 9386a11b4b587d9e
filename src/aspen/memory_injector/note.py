"""The memory note: a few dated lines of what was said before, framed as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from aspen.memory_injector.framing import (
    Line,
    Note,
    as_data,
    fitting_lines,
    frame_tokens,
    memory_line,
    note_of,
    when_said,
)
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.text import prepare_text
from aspen.resonance_search import query_terms
from aspen.types import Hit

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
    note = note_for(situation, situation.recall(situation.message).hits)
    return prepare_text(
        situation, note, strategy=StrategyName.NOTE, asked=asked, reason=reason, figures=figures
    )


def note_for(situation: Situation, hits: Sequence[Hit]) -> Note | None:
    """The note of a situation, see `write_note`."""
    return write_note(
        hits, prompt=situation.message, budget=situation.budget, count_tokens=situation.count_tokens
    )


def write_note(
    hits: Sequence[Hit], *, prompt: str, budget: int, count_tokens: Callable[[str], int], most: int = 4
) -> Note | None:
    """A note of at most `budget` tokens from the best hits; None if nothing is worth a line or fits."""
    lines = note_lines(hits, prompt=prompt, budget=budget, count_tokens=count_tokens, most=most)
    return note_of(lines, count_tokens=count_tokens)


def note_lines(
    hits: Sequence[Hit], *, prompt: str, budget: int, count_tokens: Callable[[str], int], most: int = 4
) -> list[Line]:
    """The lines of a note of at most `budget` tokens, one for each memory that it tells.

    Hits are taken best first, at most `most`, until the budget is full; the lines then stand in the order in
    which things were said. See `worth_telling` for what is left out. A memory longer than half of the budget is cut,
    which an ellipsis shows.
    """
    longest = (budget - frame_tokens(count_tokens)) // 2
    lines = (
        Line(
            memory_line(hit.memory, budget=longest, count_tokens=count_tokens),
            (hit.memory.id,),
            when_said(hit.memory),
        )
        for hit in worth_telling(hits, prompt=prompt)
    )
    return fitting_lines(lines, budget=budget, count_tokens=count_tokens, most=most)


def worth_telling(hits: Sequence[Hit], *, prompt: str, answered: Container[str] = ()) -> Iterator[Hit]:
    """The hits that have something to say, best first.

    The same words said twice are told once, and `prompt` asked before is not: it would be the best hit each time, and
    says nothing, unless its id is among the `answered`. Nor is what was corrected, or is much weaker than the best.
    """
    asked, asked_words = set(query_terms(prompt)), _words(prompt)
    telling = [
        hit
        for hit in hits
        if hit.corrected_by is None
        and (hit.memory.id in answered or not _asks_the_same(hit, asked, asked_words))
    ]
    best, told = max((hit.score for hit in telling), default=0.0), set[str]()
    for hit in telling:
        # A best score of 0 means that there is nothing to compare with: one memory, or several alike.
        if hit.score < max(FLOOR * best, 0.0):
            return
        words = as_data(hit.memory.text).casefold()
        if words not in told:
            told.add(words)
            yield hit


def _asks_the_same(hit: Hit, asked: set[str], asked_words: list[str]) -> bool:
    said = hit.memory.text
    if _words(said) == asked_words:
        return True
    told = set(query_terms(said))
    return said.rstrip().endswith("?") and len(told & asked) >= _SAME * len(told)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
