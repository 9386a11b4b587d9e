"""The whole history before the question, as far as the context reaches: what long contexts are for."""

from __future__ import annotations

from collections.abc import Sequence

from aspen.errors import PromptTooLong
from aspen.memory_injector import Note, Prepared, Situation, framed, memory_line, prepare_text
from aspen.types import Memory

_SPARE = 64
"""Tokens between what the note is counted at and what the prompt takes: template, system prompt, seams."""


class WholeHistory:
    """All memories in their order, the oldest left out where the context is too short."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories = memories

    def prepare(self, situation: Situation) -> Prepared:
        """One pass over all of it: that is what it costs in a new process."""
        room = situation.model.info.context_length - situation.reserve
        room -= situation.count_tokens(situation.message) + situation.count_tokens(framed([])) + _SPARE
        kept: list[tuple[Memory, str]] = []
        for memory in reversed(self._memories):
            line = memory_line(memory, budget=10**6, count_tokens=situation.count_tokens)
            room -= situation.count_tokens(f"{line}\n")
            if room < 0:
                break
            kept.append((memory, line))
        if not kept:
            raise PromptTooLong("Not one memory fits before the question.")
        text = framed([line for _, line in reversed(kept)])
        ids = tuple(memory.id for memory, _ in reversed(kept))
        return prepare_text(situation, Note(text, situation.count_tokens(text), ids), strategy="history")
