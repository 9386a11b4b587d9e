"""Puts a prompt together: system prompt, memory note, as much history as fits, the message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspen.errors import PromptTooLong
from aspen.memory_injector.note import Note
from aspen.models import ChatPrompt, LanguageModel
from aspen.types import Memory, Message, Provenance, Role, Segment


@dataclass(frozen=True, slots=True)
class ComposedPrompt:
    """A prompt ready for the model. `note` are the tokens of the memory note; `dropped` older messages did not fit."""

    chat: ChatPrompt
    note: Segment | None
    dropped: int


def compose_prompt(
    model: LanguageModel,
    *,
    system: str,
    note: Note | None,
    history: Sequence[Memory],
    message: str,
    reserve: int,
) -> ComposedPrompt:
    """Render the conversation so that `reserve` tokens stay free for the reply.

    Where it does not fit, older history goes first, a message at a time. PromptTooLong if it does not fit without
    any history.
    """
    told = f"{system}\n\n{note.text}" if note else system
    turns = [_as_message(memory) for memory in history]
    limit = model.info.context_length - reserve
    for dropped in range(len(turns) + 1):
        messages = [Message(Role.SYSTEM, told), *_joined(turns[dropped:], message)]
        chat = model.apply_chat_template(messages)
        if len(chat.token_ids) <= limit:
            return ComposedPrompt(
                chat, _note_tokens(model, chat, messages, system) if note else None, dropped
            )
    raise PromptTooLong(
        f"The message needs {len(chat.token_ids)} tokens with system prompt and note, "
        f"the model takes {limit} beside {reserve} for the reply.",
        hint="Shorten the message, or open a model with a longer context.",
        tokens=len(chat.token_ids),
        limit=limit,
    )


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


def _note_tokens(model: LanguageModel, chat: ChatPrompt, messages: Sequence[Message], system: str) -> Segment:
    """The tokens of the system message after which the prompt parts from the one without a note."""
    bare = model.apply_chat_template([Message(Role.SYSTEM, system), *messages[1:]]).token_ids
    shared = min(len(bare), len(chat.token_ids))
    differs = np.flatnonzero(bare[:shared] != chat.token_ids[:shared])
    span = chat.spans[0]
    return Segment("note", max(span.start, int(differs[0]) if len(differs) else span.start), span.stop)
