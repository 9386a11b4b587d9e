"""The text of a pattern memory: one sentence by the local model, where its examples bear it out, or the examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aspen.errors import MissingDependency, ModelError
from aspen.memory_injector.framing import as_data, framed
from aspen.models import LanguageModel, generate, json_grammar
from aspen.resonance_search import query_terms
from aspen.types import Memory, Message, Role, SamplerSettings

SHOWN = 6
"""Most examples that the model is shown: the most central ones."""
_LONGEST = 160
"""Most characters of an example, and of the model's sentence."""
_MOST_TOKENS = 80
_GROUNDED = 0.75
"""Share of the words of the model's sentence, the smallest ones not counted, that its examples must have."""
_FEWEST_TERMS = 4
_ASKED = "Which pattern do the notes share? Say in one sentence what came up and what helped."
_SCHEMA = {
    "type": "object",
    "properties": {"pattern": {"type": "string", "minLength": 10, "maxLength": _LONGEST}},
    "required": ["pattern"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Written:
    """The text of a pattern; `label` says who made it: "model" or "template"."""

    text: str
    label: str


def write_pattern(
    examples: Sequence[Memory], ended: Memory | None, *, model: LanguageModel | None
) -> Written:
    """A sentence about `examples`, the most central first, and what was said after the last of them, if anything.

    Without a `model`, or where its sentence has words that none of the examples has, the most central examples speak
    for themselves. The model takes the likeliest tokens: equal examples make an equal text.
    """
    sentence = _sentence(examples[:SHOWN], model=model) if model else None
    if sentence is not None:
        return Written(sentence, "model")
    quoted = [f"'{_cut(memory.text)}'" for memory in examples[:2]]
    text = f"{quoted[0]}, and alike: {quoted[1]}"
    if ended is not None:
        text += f"; then: '{_cut(ended.text)}'"
    return Written(text, "template")


def _sentence(examples: Sequence[Memory], *, model: LanguageModel) -> str | None:
    """One grounded sentence; None where the model brings none about."""
    notes = framed([f'- "{_cut(memory.text)}"' for memory in examples])
    try:
        chat = model.apply_chat_template([Message(Role.USER, f"{notes}\n\n{_ASKED}")])
        said = generate(
            model,
            session=model.start_session(),
            prompt_ids=chat.token_ids,
            settings=SamplerSettings(temperature=0.0),
            seed=0,
            max_tokens=_MOST_TOKENS,
            constraint=json_grammar(model, _SCHEMA),
        )
    except (MissingDependency, ModelError):
        return None  # no grammar, no template, or nothing goes on as the grammar wants: the examples are left
    if said.finish_reason != "stop":
        return None
    sentence = json.loads(said.text)["pattern"]
    if len(sentence) == _LONGEST:  # the grammar brought it to an end, not the model
        sentence = sentence.rpartition(". ")[0]
    sentence = as_data(sentence)
    return sentence if _is_grounded(sentence, examples) else None


def _is_grounded(sentence: str, examples: Sequence[Memory]) -> bool:
    said = set(query_terms(sentence))
    known = {term for memory in examples for term in query_terms(memory.text)}
    return len(said) >= _FEWEST_TERMS and len(said & known) >= _GROUNDED * len(said)


def _cut(text: str) -> str:
    words = as_data(text)
    if len(words) <= _LONGEST:
        return words
    cut = words[:_LONGEST]
    return f"{cut.rpartition(' ')[0] or cut} ..."
