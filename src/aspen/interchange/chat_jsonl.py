"""OpenAI-style chat JSONL: a conversation a line, `{"messages": [{"role": ..., "content": ...}, ...]}`.

Beside the messages a line may have `id`, `conversation` (or `conversation_id`) and `created` (or `created_at`,
`timestamp`): seconds since 1970 or ISO 8601. A message may have `id`, `name` and a time of its own. Contents may be
lists of parts, of which those with text count.

What the assistant said gets the provenance "generated", as a model said it; all else is "imported".
"""

from __future__ import annotations

from collections.abc import Iterator

from aspen.errors import InvalidInput
from aspen.interchange.lines import Line, read_objects
from aspen.interchange.records import LeftOut, Problem, Reading, Source, as_record, moment, name_in
from aspen.types import Provenance

_INSTRUCTIONS = ("system", "developer")
"""Roles whose messages tell the model what to do: they are no memories."""
_MODEL = "assistant"
"""The role of what a model said."""


def read_chat(source: Source) -> Iterator[Reading]:
    """One record for each message with text; system prompts are left out."""
    for line in read_objects(source.path):
        if isinstance(line, Problem):
            yield line
        else:
            yield from _messages(line, source)


def _messages(line: Line, source: Source) -> Iterator[Reading]:
    messages = line.value.get("messages")
    if not isinstance(messages, list):
        yield Problem(line.number, "the line has no list 'messages'")
        return
    own_id = name_in(line.value, "id")
    base = own_id if isinstance(own_id, str) else source.place(line.number)
    conversation = name_in(line.value, "conversation", "conversation_id")
    for position, message in enumerate(messages, start=1):
        where = f"message {position}: "
        try:
            text = _text_of(message)
            if text is None:
                yield LeftOut(line.number)
                continue
            said_at = moment(message) or moment(line.value)
        except InvalidInput as error:
            yield Problem(line.number, where + error.message)
            continue
        fields = {
            "text": text,
            "speaker": name_in(message, "name", "role"),
            "said_at": said_at,
            "conversation": conversation or source.conversation or base,
            "source": name_in(message, "id") or f"{base}#{position}",
        }
        provenance = Provenance.GENERATED if message["role"] == _MODEL else Provenance.IMPORTED
        yield as_record(line.number, fields, done=line.done, where=where, provenance=provenance)


def _text_of(message: object) -> str | None:
    """The text of a message; None where it is no memory. InvalidInput where it is no message."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidInput("expected an object with 'role' and 'content'.")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        content = "\n".join(part for part in parts if isinstance(part, str) and part.strip())
    if message["role"] in _INSTRUCTIONS or content is None or content == "":
        return None
    if not isinstance(content, str):
        raise InvalidInput(f"content must be text or a list of parts, got {type(content).__name__}.")
    return content
