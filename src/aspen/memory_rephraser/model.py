"""Memories rewritten for a message by a language model, and each sentence held to the memory that it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aspen.memory_rephraser.template import as_data
from aspen.models import LanguageModel, generate, json_grammar, log_likelihoods
from aspen.types import FloatArray, Message, Role, SamplerSettings, TokenIds

SUPPORT = 2.6
"""Nats a token that a sentence must gain by its memory. Of 36 memories with a right sentence, one of changed facts and
one of another memory each, SmolLM2-135M keeps 92 %, 17 % and none (tools/fit_grounding.py)."""
_GREEDY = SamplerSettings(temperature=0.0)
_SENTENCE = r"[A-Z0-9][^\"\\{}\[\]?!.;:]{8,140}\."
"""A statement. Left alone, a small model asks the message back, and writes the next entry into the sentence."""
_PER_SENTENCE = 60  # tokens
_TASK = (
    "You rewrite notes as short sentences for somebody who will answer a message. "
    "You use only what the notes say. You do not answer the message."
)
#: A small model that sees one example does as it does, and without one wanders.
_EXAMPLE = (
    'Message: What should I cook for Yusuf?\nNotes:\n1. The user said: "Yusuf cannot stand fish." (2 May 2025)\n'
    '2. Yusuf said: "I have been baking bread since I was ten." (9 June 2025)\nRewrite the notes.',
    '[{"memory":1,"sentence":"Yusuf does not like fish."},'
    '{"memory":2,"sentence":"Yusuf has baked bread since he was ten."}]',
)


@dataclass(frozen=True, slots=True)
class Rephrased:
    """A sentence, which memory it names (its place among those given), and its support in nats a token."""

    sentence: str
    source: int
    support: float

    @property
    def supported(self) -> bool:
        """Whether the memory it names makes it likely enough."""
        return self.support >= SUPPORT


def rephrase(model: LanguageModel, memories: Sequence[str], *, message: str) -> list[Rephrased]:
    """What `model` makes of memories, a line each, for somebody who is to answer `message`; most likely text, so that
    the same memories give the same sentences.

    Raises MissingDependency without llguidance, NoChatTemplate for a model without one, ModelError where no token
    goes on as the grammar wants, PromptTooLong where all this does not fit its context.
    """
    grammar = json_grammar(model, _schema(len(memories)))
    said = generate(
        model,
        session=model.start_session(),
        prompt_ids=_prompt(model, memories, message=message),
        settings=_GREEDY,
        seed=0,
        max_tokens=_PER_SENTENCE * (len(memories) + 1),
        constraint=grammar,
    )
    judge = Judge(model, memories)
    return [
        Rephrased(sentence, source, judge.support(sentence, source=source))
        for sentence, source in _sentences(said.text)
    ]


def _schema(n: int) -> dict[str, Any]:
    sentence = {
        "type": "object",
        "properties": {
            "memory": {"enum": list(range(1, n + 1))},
            "sentence": {"type": "string", "pattern": f"^{_SENTENCE}$"},
        },
        "required": ["memory", "sentence"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": sentence, "minItems": 1, "maxItems": n + 1}


def _prompt(model: LanguageModel, memories: Sequence[str], *, message: str) -> TokenIds:
    notes = "\n".join(f"{number}. {line}" for number, line in enumerate(memories, start=1))
    request = f"Message: {as_data(message)}\nNotes:\n{notes}\nRewrite the notes."
    asked, answered = _EXAMPLE
    turns = [
        # The task stands in the first turn: some templates know no system role.
        Message(Role.USER, f"{_TASK}\n\n{asked}"),
        Message(Role.ASSISTANT, answered),
        Message(Role.USER, request),
    ]
    return model.apply_chat_template(turns).token_ids


def _sentences(text: str) -> list[tuple[str, int]]:
    """Sentences and the places of their memories; those before the end where the text broke off."""
    found: list[tuple[str, int]] = []
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            entry, stop = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            break
        sentence = as_data(entry["sentence"])
        if sentence and sentence not in (known for known, _ in found):
            found.append((sentence, entry["memory"] - 1))
        at = text.find("{", stop)
    return found


class Judge:
    """Weighs sentences by the model's own likelihood.

    support = mean over the sentence's tokens of log p(token | memory) - log p(token | no memory), in nats: what the
    memory tells of the sentence (its pointwise mutual information with it, Church and Hanks 1990, a token).
    """

    def __init__(self, model: LanguageModel, memories: Sequence[str]) -> None:
        self._model = model
        self._after_nothing = self._started("nothing is known.")
        self._after: dict[int, tuple[Any, FloatArray]] = {}
        self._memories = memories

    def support(self, sentence: str, *, source: int) -> float:
        """Of a sentence by the memory at the place `source`."""
        if source not in self._after:
            self._after[source] = self._started(self._memories[source])
        ids = self._model.tokenize(f" {sentence}")
        with_memory = log_likelihoods(*self._after[source], ids)
        without = log_likelihoods(*self._after_nothing, ids)
        return float((with_memory - without).mean())

    def _started(self, note: str) -> tuple[Any, FloatArray]:
        session = self._model.start_session()
        return session, session.prefill(self._model.tokenize(f"Note: {note}\nIn other words:"))
