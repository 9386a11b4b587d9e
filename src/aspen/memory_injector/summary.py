"""Summary: patterns that recurred, found by activation beforehand (`Aspen.summarise`), as recall on the level of plans.

Recall is restricted to pattern memories. What reaches the model is what came up again and again, how often it was seen
and when for the last time: "Pattern seen 4 times, last on 8 May 2026".
"""

from __future__ import annotations

from aspen.dates import written_date
from aspen.memory_injector.framing import Line, Note, fitting_note, frame_tokens, when_said
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.note import prepare_note
from aspen.memory_injector.text import prepare_text
from aspen.memory_rephraser import shortened
from aspen.types import Hit, MemoryType, Provenance

TAG = "summary"
"""The tag of pattern memories that were made of others."""
_FAMILIAR = 0.2
"""A pattern that is this familiar resonates with the message, whatever else does."""
_NEAREST = 2
"""One that is less familiar resonates where it, or an example of it, is among so many best hits of all memories: of the
patterns alone, one is always the best, whatever the message is."""
_MOST = 2


class PatternSummary:
    """Recalls patterns, and puts them into the system message; the note, where none resonates."""

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        asked = StrategyName.SUMMARY
        if situation.budget == 0:
            return prepare_note(situation, asked=asked, reason="no tokens are left to memories")
        hits = patterns_for(situation)
        if not hits:
            return prepare_note(situation, asked=asked, reason="no pattern resonates with the message")
        note = write_patterns(situation, hits)
        if note is None:
            reason = f"no pattern fits into {situation.budget} tokens"
            return prepare_note(situation, asked=asked, reason=reason)
        return prepare_text(situation, note, strategy=asked, figures={"familiarity": hits[0].familiarity})


def patterns_for(situation: Situation) -> list[Hit]:
    """Pattern memories that hold and resonate with the message, the best first."""
    every = situation.recall(situation.message).hits
    nearest = {hit.memory.id for hit in every[:_NEAREST]}
    found: list[Hit] = []
    for hit in situation.recall(situation.message, tags=(TAG,)).hits:
        memory = hit.memory
        made = memory.type is MemoryType.PATTERN and memory.provenance is Provenance.INFERRED
        if not made or hit.corrected_by is not None or len(found) == _MOST:
            continue
        if hit.familiarity >= _FAMILIAR or not nearest.isdisjoint([memory.id, *situation.examples(memory)]):
            found.append(hit)
    return found


def write_patterns(situation: Situation, hits: list[Hit]) -> Note | None:
    """A note of as many of the patterns, best first, as the budget holds; None if it holds none."""
    longest = situation.budget - frame_tokens(situation.count_tokens)
    return fitting_note(
        (_line(situation, hit, longest=longest) for hit in hits),
        budget=situation.budget,
        count_tokens=situation.count_tokens,
        most=_MOST,
    )


def _line(situation: Situation, hit: Hit, *, longest: int) -> Line:
    seen = _seen(situation, hit)
    told = shortened(hit.memory.text, lambda words: situation.count_tokens(f'- {seen}: "{words}"') <= longest)
    return Line(f'- {seen}: "{told}"', (hit.memory.id,), when_said(hit.memory))


def _seen(situation: Situation, hit: Hit) -> str:
    """'Pattern seen 4 times, last on 8 May 2026'"""
    seen = f"Pattern seen {len(situation.examples(hit.memory))} times"
    return f"{seen}, last on {written_date(hit.memory.said_at)}" if hit.memory.said_at else seen
