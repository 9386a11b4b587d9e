"""The reflection: recalled memories rewritten for this message, each sentence held to the memory that it names."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aspen.dates import written_date
from aspen.errors import MissingDependency, ModelError, PromptTooLong
from aspen.memory_injector.framing import Line, Note, fitting_note, memory_line, when_said
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.note import note_for
from aspen.memory_injector.text import prepare_text
from aspen.memory_rephraser import Rephrased, rephrase, shortened, speaker_of
from aspen.models import LanguageModel
from aspen.resonance_search import query_terms
from aspen.types import Memory

_LONGEST = 80
"""Tokens of a memory that the rephraser reads."""


class Reflection:
    """Has a model rewrite the memories that a note would tell, and keeps the sentences that they support.

    Where that gives nothing, the note itself is told, by its fixed pattern, and the injection says so.

    Parameters
    ----------
    model:
        What rewrites; the one that answers, where None.
    """

    def __init__(self, model: LanguageModel | None = None) -> None:
        self._model = model

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        hits = situation.recall(situation.message).hits
        note = note_for(situation, hits)
        if note is None:
            reason = "the budget for memories is 0" if situation.budget == 0 else ""
            return prepare_text(situation, None, strategy=StrategyName.REFLECTION, reason=reason)
        found = {hit.memory.id: hit.memory for hit in hits}
        memories, started = [found[id_] for id_ in note.memory_ids], time.perf_counter()
        rephraser = self._model or situation.model
        lines = [
            memory_line(memory, budget=_LONGEST, count_tokens=lambda text: len(rephraser.tokenize(text)))
            for memory in memories
        ]
        try:
            # A session of its own: only the first one that was started, that of the reply, is recorded.
            said = rephrase(rephraser, [line.removeprefix("- ") for line in lines], message=situation.message)
        except (MissingDependency, ModelError, PromptTooLong) as error:
            return _by_template(situation, note, reason=str(error), figures={})
        kept = [one for one in said if one.supported and _tells(one.sentence, situation.message)]
        figures = _figures(said, kept, seconds=time.perf_counter() - started)
        reflected = _reflected(situation, kept, memories)
        if reflected is None:
            reason = "no sentence that the model wrote was supported by its memory and fits the budget"
            return _by_template(situation, note, reason=reason, figures=figures)
        reason = f"supported by the memory that they name: {len(kept)} of {len(said)} sentences"
        return prepare_text(
            situation, reflected, strategy=StrategyName.REFLECTION, reason=reason, figures=figures
        )


def _by_template(situation: Situation, note: Note, *, reason: str, figures: dict[str, float]) -> Prepared:
    return prepare_text(
        situation,
        note,
        strategy=StrategyName.NOTE,
        asked=StrategyName.REFLECTION,
        reason=f"told by template, not rewritten: {reason}",
        figures=figures,
    )


def _reflected(
    situation: Situation, sentences: Sequence[Rephrased], memories: Sequence[Memory]
) -> Note | None:
    """Sentences as a note, the best supported first where not all fit; None where none does."""
    ranked = sorted(sentences, key=lambda one: -one.support)
    lines = (
        Line(_line(one.sentence, memory), (memory.id,), when_said(memory))
        for one in ranked
        for memory in [memories[one.source]]
    )
    return fitting_note(
        lines, budget=situation.budget, count_tokens=situation.count_tokens, most=len(sentences)
    )


def _line(sentence: str, memory: Memory) -> str:
    """A sentence with what it was made of: who said it, and when."""
    who = speaker_of(memory)
    source = f"{who[0].lower()}{who[1:]}" if who in ("The user", "Somebody") else who
    date = f", {written_date(memory.said_at)}" if memory.said_at else ""
    return f"- {shortened(sentence, lambda _: True)} (from what {source} said{date})"


def _tells(sentence: str, message: str) -> bool:
    """Whether a sentence has a word that the message has not: small models like to say the question again."""
    return not set(query_terms(sentence)) <= set(query_terms(message))


def _figures(said: Sequence[Rephrased], kept: Sequence[Rephrased], *, seconds: float) -> dict[str, float]:
    figures: dict[str, float] = {
        "sentences": len(said),
        "dropped_sentences": len(said) - len(kept),
        "rephrase_seconds": seconds,
    }
    if said:
        figures["least_support"] = min(one.support for one in said)
    return figures
