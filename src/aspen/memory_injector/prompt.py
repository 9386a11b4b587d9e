"""Puts a prompt together: system prompt, memory note, as much history as fits, the message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspen.errors import ModelError, NoChatTemplate, PromptTooLong
from aspen.memory_injector.framing import Note
from aspen.models import ChatPrompt, LanguageModel
from aspen.types import Memory, Message, Provenance, Role, Segment, TokenIds


@dataclass(frozen=True, slots=True)
class ComposedPrompt:
    """A prompt ready for the model.

    `note` are the tokens of the memory note, `dropped` counts the older messages that were left out.
    """

    chat: ChatPrompt
    note: Segment | None
    dropped: int


def compose_prompt(
    model: LanguageModel,
    *,
    system: str | None,
    note: Note | None,
    history: Sequence[Memory],
    message: str,
    reserve: int,
) -> ComposedPrompt:
    """Render the conversation so that `reserve` tokens stay free for the reply.

    System prompt and note stand in the system message; where there is neither, the template's own default counts.
    What does not fit is left out from the oldest message of the history on, and with a question its answer, for
    the user begins. PromptTooLong if it does not fit even without any history.
    """
    turns = [_as_message(memory) for memory in history]
    limit = model.info.context_length - reserve
    for dropped in range(len(turns) + 1):
        if dropped < len(turns) and turns[dropped].role is Role.ASSISTANT:
            continue
        chat = _render(model, [system, note.text if note else None], _joined(turns[dropped:], message))
        if len(chat.token_ids) <= limit:
            if note is None:
                return ComposedPrompt(chat, None, dropped)
            before = f"{system}\n\n" if system else None
            bare = _render(model, [before], _joined(turns[dropped:], message))
            return ComposedPrompt(chat, _note_tokens(chat, bare, follows=before is not None), dropped)
    raise PromptTooLong(
        f"The message needs {len(chat.token_ids)} tokens with system prompt and note, "
        f"the model takes {limit} beside {reserve} for the reply.",
        hint="Shorten the message, or open a model with a longer context.",
        tokens=len(chat.token_ids),
        limit=limit,
    )


def _render(model: LanguageModel, told: Sequence[str | None], turns: Sequence[Message]) -> ChatPrompt:
    opening = "\n\n".join(part for part in told if part)
    if not opening:
        return model.apply_chat_template(turns)
    try:
        return model.apply_chat_template([Message(Role.SYSTEM, opening), *turns])
    except NoChatTemplate:
        raise
    except ModelError:
        # Templates without a system role (Gemma's) refuse the message; the first turn can carry it as well.
        first = Message(Role.USER, f"{opening}\n\n{turns[0].content}")
        return model.apply_chat_template([first, *turns[1:]])


def _as_message(memory: Memory) -> Message:
    role = Role.ASSISTANT if memory.provenance is Provenance.GENERATED else Role.USER
    return Message(role, memory.text)


def _joined(turns: Sequence[Message], message: str) -> list[Message]:
    """Turns and the new message with roles taking turns, user first: some templates insist on it."""
    joined: list[Message] = []
    for turn in [*turns, Message(Role.USER, message)]:
        if joined and joined[-1].role is turn.role:
            joined[-1] = Message(turn.role, f"{joined[-1].content}\n\n{turn.content}")
        elif joined or turn.role is Role.USER:
            joined.append(turn)
    return joined


def _note_tokens(chat: ChatPrompt, bare: ChatPrompt, *, follows: bool) -> Segment:
    """The tokens of the note, which stands in the first message, if it `follows` a system prompt behind that.

    `bare` is the same prompt without the note, so that what the two share is none of it.
    """
    ids, without, span = chat.token_ids, bare.token_ids, chat.spans[0]
    start = max(span.start, shared_length(ids, without)) if follows else span.start
    if span.name == Role.SYSTEM:
        return Segment("note", start, span.stop)
    behind = shared_length(ids[start:][::-1], without[start:][::-1])
    return Segment("note", start, min(span.stop, len(ids) - behind))


def shared_length(one: TokenIds, other: TokenIds) -> int:
    """How many tokens both begin with."""
    length = min(len(one), len(other))
    differs = np.flatnonzero(one[:length] != other[:length])
    return int(differs[0]) if len(differs) else length
