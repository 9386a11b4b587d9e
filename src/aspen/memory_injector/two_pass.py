"""Two passes: the model reads the message without memories first, and again with them only if it needs them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from aspen.errors import PromptTooLong
from aspen.memory_injector.framing import Note, framed
from aspen.memory_injector.gate import THRESHOLD, Judgement, judge
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.note import note_for
from aspen.memory_injector.prompt import ComposedPrompt, shared_length
from aspen.memory_injector.text import compose, prepare_text, prepared
from aspen.models import Sampler, Session, feed, uncertainty
from aspen.types import FloatArray, Injection, Pass, Recall
from aspen.validation import check_count

_PLACEHOLDER = Note(framed(["-"]), tokens=0, memory_ids=())
"""A note like any other: prompts with one part from the bare prompt where this one does."""


@dataclass(frozen=True, slots=True)
class _FirstPass:
    """A run of the bare prompt. head: tokens up to where prompts with a note part from it; logits [V] after the prompt;
    draft: what the model would begin to say; entropy, margin: of the next token, means over the draft, in nats.
    """

    bare: ComposedPrompt
    session: Session
    head: int
    logits: FloatArray
    draft: str
    entropy: float
    margin: float
    seconds: float


class TwoPass:
    """Recalls, weighs what it found against how sure the model is, and runs again with a note only if that says so.

    The second run keeps the tokens of the KV cache on which both prompts agree; where no memory is needed, the reply
    goes on from the first.

    Parameters
    ----------
    draft_tokens:
        Most tokens of a draft of the reply, >= 0, by the reply's own sampler and seed. With one, memories are
        recalled for message and draft as well, and the uncertainty is the mean over the draft.
    """

    def __init__(self, *, draft_tokens: int = 0) -> None:
        self.draft_tokens = check_count(draft_tokens, what="draft_tokens", minimum=0)

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        if situation.budget == 0:
            reason = "the budget for memories is 0"
            return prepare_text(situation, None, strategy=StrategyName.TWO_PASS, reason=reason)
        first = self._first_pass(situation)
        recall = _recalled(situation, first)
        judgement = judge(
            recall.familiarity,
            entropy=first.entropy,
            unknown_familiarity=situation.unknown_familiarity(recall.candidates),
            drafted=bool(first.draft),
        )
        figures = _figures(first, recall, judgement)
        told = (
            f"need {judgement.need:.2f} of {THRESHOLD:.2f}, familiarity {recall.familiarity:.2f}, "
            f"entropy {first.entropy:.2f} nats"
        )
        if not judgement.needed:
            return _go_on(situation, first, reason=f"memories were not needed: {told}", figures=figures)
        note = note_for(situation, recall.hits)
        if note is None:
            reason = f"memories were needed, but none was recalled that fits: {told}"
            return _go_on(situation, first, reason=reason, figures=figures)
        try:
            composed = compose(situation, note)
        except PromptTooLong:
            reason = f"memories were needed, but the message left no room for them: {told}"
            return _go_on(situation, first, reason=reason, figures=figures)
        return _run_again(
            situation, first, composed, note=note, reason=f"memories were needed: {told}", figures=figures
        )

    def _first_pass(self, situation: Situation) -> _FirstPass:
        started = time.perf_counter()
        model, bare = situation.model, compose(situation, None)
        # A cache with a sliding window cannot be rewound once it has moved on: such a model reads twice from the start.
        whole = model.fragments_refused() is None
        session = situation.session if whole else model.start_session()
        head = _head(situation, bare)
        logits = feed(session, bare.chat.token_ids, passes=_passes(head, len(bare.chat.token_ids)))
        sure, draft = [uncertainty(logits)], []
        if self.draft_tokens:
            sampler, now = Sampler(situation.sampler, seed=situation.seed), logits
            sampler.observe(bare.chat.token_ids)
            for _ in range(min(self.draft_tokens, model.info.context_length - session.length)):
                token = sampler.draw(now)
                if token in model.info.stop_ids:
                    break
                draft.append(token)
                now = session.decode(token)
                sure.append(uncertainty(now))
            if whole:
                session.rewind(len(bare.chat.token_ids))
        return _FirstPass(
            bare,
            session,
            head,
            logits,
            model.detokenize(np.array(draft, dtype=np.int32)).strip() if draft else "",
            entropy=_mean([one.entropy for one in sure]),
            margin=_mean([one.margin for one in sure]),
            seconds=time.perf_counter() - started,
        )


def _recalled(situation: Situation, first: _FirstPass) -> Recall:
    """The recall for the message, or for message and draft where that is more familiar: words that the model makes up
    in a draft can lead away as well as on.
    """
    drafted = situation.recall(f"{situation.message}\n{first.draft}") if first.draft else None
    recall = situation.recall(situation.message)
    return drafted if drafted is not None and drafted.familiarity > recall.familiarity else recall


def _head(situation: Situation, bare: ComposedPrompt) -> int:
    """Tokens that the bare prompt has in common with one that holds a note; 0 where no note fits at all."""
    try:
        noted = compose(situation, _PLACEHOLDER)
    except PromptTooLong:
        return 0
    return shared_length(bare.chat.token_ids, noted.chat.token_ids)


def _passes(head: int, length: int) -> tuple[Pass, ...]:
    return (Pass(head), Pass(length - head)) if 0 < head < length else (Pass(length),)


def _go_on(situation: Situation, first: _FirstPass, *, reason: str, figures: dict[str, float]) -> Prepared:
    """The reply follows the first pass."""
    started, ids = time.perf_counter(), first.bare.chat.token_ids
    passes, logits = _passes(first.head, len(ids)), first.logits
    if first.session is not situation.session:
        logits = feed(situation.session, ids, passes=passes)
    seconds = first.seconds + time.perf_counter() - started
    injection = Injection(StrategyName.TWO_PASS, StrategyName.TWO_PASS, reason, figures=figures)
    return prepared(first.bare, logits=logits, passes=passes, note=None, injection=injection, seconds=seconds)


def _run_again(
    situation: Situation,
    first: _FirstPass,
    composed: ComposedPrompt,
    *,
    note: Note,
    reason: str,
    figures: dict[str, float],
) -> Prepared:
    """The prompt with the note, behind what of the first pass it begins with."""
    started, ids = time.perf_counter(), composed.chat.token_ids
    # Tokens of one pass are kept together or not at all: a replay makes the same passes.
    agrees = shared_length(ids, first.bare.chat.token_ids) >= first.head
    head = first.head if agrees else 0
    passes = _passes(head, len(ids))
    if first.session is situation.session:
        situation.session.rewind(head)
        logits, kept = situation.session.prefill(ids[head:]), head
    else:
        logits, kept = feed(situation.session, ids, passes=passes), 0
    again = time.perf_counter() - started
    injection = Injection(
        StrategyName.TWO_PASS,
        StrategyName.TWO_PASS,
        reason,
        note.memory_ids,
        tokens=note.tokens,
        figures={**figures, "kept_tokens": kept, "second_pass_seconds": again},
    )
    return prepared(
        composed, logits=logits, passes=passes, note=note, injection=injection, seconds=first.seconds + again
    )


def _figures(first: _FirstPass, recall: Recall, judgement: Judgement) -> dict[str, float]:
    return {
        "need": judgement.need,
        "familiarity": recall.familiarity,
        "familiarity_offset": judgement.offset,
        "entropy": first.entropy,
        "margin": first.margin,
        "first_pass_seconds": first.seconds,
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
