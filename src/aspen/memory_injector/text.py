"""Feeding a prompt that is text all through: note, history, message."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from aspen.activation_logger import name_spans
from aspen.errors import PromptTooLong
from aspen.memory_injector.framing import Note
from aspen.memory_injector.interface import Prepared, Situation
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt
from aspen.models import feed
from aspen.types import FloatArray, Injection, Pass


def prepare_text(
    situation: Situation,
    note: Note | None,
    *,
    strategy: str,
    asked: str | None = None,
    reason: str = "",
    figures: Mapping[str, float] | None = None,
) -> Prepared:
    """Compose the prompt with `note` in the system message, and run it in one pass.

    Where the two do not fit the context together, the message goes before what was recalled for it.
    """
    try:
        composed = compose(situation, note)
    except PromptTooLong:
        if note is None:
            raise
        note, reason = None, "the message left no room for memories"
        composed = compose(situation, None)
    started = time.perf_counter()
    passes = (Pass(len(composed.chat.token_ids)),)
    logits = feed(situation.session, composed.chat.token_ids, passes=passes)
    injection = Injection(
        strategy=strategy,
        asked=asked or strategy,
        reason=reason or ("" if note else "nothing was recalled that fits"),
        memory_ids=note.memory_ids if note else (),
        tokens=note.tokens if note else 0,
        figures=figures or {},
    )
    return prepared(
        composed,
        logits=logits,
        passes=passes,
        note=note,
        injection=injection,
        seconds=time.perf_counter() - started,
    )


def prepared(
    composed: ComposedPrompt,
    *,
    logits: FloatArray,
    passes: tuple[Pass, ...],
    note: Note | None,
    injection: Injection,
    seconds: float,
) -> Prepared:
    """A composed prompt that was brought into the session by `passes`; `logits` [V] are those after it."""
    return Prepared(
        text=composed.chat.text,
        token_ids=composed.chat.token_ids,
        segments=name_spans(composed.chat.spans, note=composed.note),
        logits=logits,
        passes=passes,
        note=note,
        dropped=composed.dropped,
        injection=injection,
        seconds=seconds,
    )


def compose(situation: Situation, note: Note | None) -> ComposedPrompt:
    """The prompt of a situation, with a note or without. PromptTooLong where it does not fit."""
    return compose_prompt(
        situation.model,
        system=situation.system,
        note=note,
        history=situation.history,
        message=situation.message,
        reserve=situation.reserve,
    )


class WithoutMemory:
    """No memory at all: the bare conversation."""

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        return replace(prepare_text(situation, None, strategy="none"), injection=None)
