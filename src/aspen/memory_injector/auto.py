"""Auto: chooses a strategy by cost and familiarity, and says which and why.

The rule, the first line that applies:

1. This question was asked before, was answered in 64 tokens at most, and its trace can be run again: seed_replay.
2. It asks how to do something, and a pattern resonates, which may share no word with it: summary.
3. Nothing is familiar (familiarity below 0.1): none.
4. There is much to tell (512 tokens and more fit), and the model takes keys and values as they are: kv.
5. Otherwise: note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from aspen.memory_injector.interface import Prepared, Situation, Strategy, StrategyName
from aspen.memory_injector.note import FLOOR
from aspen.memory_injector.seed_replay import find_replayable
from aspen.memory_injector.summary import patterns_for
from aspen.memory_injector.text import prepare_text
from aspen.resonance_search import query_terms
from aspen.types import Recall

_UNFAMILIAR = 0.1
_SHORT = 64
"""Most tokens of a reply that is run again: each costs a decoding step before the first new word."""
_MUCH = 512
"""Tokens of memory text from which on placing what was kept of it takes a third of the time of reading it again: for
less, it is not worth what is lost (docs/benchmarks/kv.md).
"""
_HOW = re.compile(
    r"\bhow (do|can|could|should|would|to|did)\b"
    r"|\bwhat (should|shall|can|could|would|do|did) (i|we|you)\b|\bwhat (helps|helped|works|worked)\b"
    r"|\bany (ideas?|advice)\b",
    re.IGNORECASE,
)


class Auto:
    """Chooses among `strategies`, by name; those that are not there are not chosen."""

    reads_recording: Literal[True] = True

    def __init__(self, strategies: Mapping[str, Strategy]) -> None:
        self._strategies = strategies

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        recall = situation.recall(situation.message)
        chosen, why = self._choose(situation, recall)
        figures = {"familiarity": recall.familiarity}
        asked = StrategyName.AUTO
        if chosen is None:
            return prepare_text(situation, None, strategy="none", asked=asked, reason=why, figures=figures)
        prepared = self._strategies[chosen].prepare(situation)
        used = prepared.injection
        if used is None:
            return prepared
        reason = f"{why}; {used.reason}" if used.reason else why
        injection = replace(used, asked=asked, reason=reason, figures={**figures, **used.figures})
        return replace(prepared, injection=injection)

    def _choose(self, situation: Situation, recall: Recall) -> tuple[str | None, str]:
        """The name of a strategy, None for no memory, and why."""
        if situation.budget == 0:
            return None, "no tokens are left to memories"
        if StrategyName.SEED_REPLAY in self._strategies and _asked_before(situation, recall):
            return StrategyName.SEED_REPLAY, "this was asked before"
        if (
            StrategyName.SUMMARY in self._strategies
            and _HOW.search(situation.message)
            and patterns_for(situation)
        ):
            return StrategyName.SUMMARY, "it asks how, and a pattern resonates"
        if recall.familiarity < _UNFAMILIAR:
            return None, "nothing is familiar"
        much = min(_tokens(recall), situation.budget)
        if StrategyName.KV in self._strategies and much >= _MUCH and not situation.model.fragments_refused():
            return StrategyName.KV, f"there is much to tell ({much} tokens)"
        return StrategyName.NOTE, "a few lines tell it"


def _asked_before(situation: Situation, recall: Recall) -> bool:
    """Whether the best hit is the same question, and seed replay would go on from its trace."""
    asked = set(query_terms(situation.message))
    best = next((hit.memory for hit in recall.hits if hit.corrected_by is None), None)
    if best is None or best.trace_id is None or not asked or set(query_terms(best.text)) != asked:
        return False
    found = find_replayable(situation)
    if isinstance(found, str) or found.trace.id != best.trace_id:
        return False
    return len(found.trace.token_ids) - found.trace.prompt_length <= _SHORT


def _tokens(recall: Recall) -> int:
    """Tokens of what is worth telling."""
    best = max((hit.score for hit in recall.hits), default=0.0)
    good = (hit.memory for hit in recall.hits if hit.corrected_by is None and hit.score >= FLOOR * best)
    return sum(memory.token_count for memory in good)
