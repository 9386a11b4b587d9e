"""One turn of a conversation: what was said, what the model answers, and what is kept of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aspen.activation_db import encode_trace
from aspen.activation_logger import build_trace, name_spans, record
from aspen.engine import Engine
from aspen.errors import NotFound, PromptTooLong
from aspen.items import memory_id
from aspen.memory_injector import ComposedPrompt, Note, compose_prompt
from aspen.models import generate
from aspen.repository import NewTrace, TraceInfo
from aspen.types import Memory, MemoryItem, Provenance, Recall, SamplerSettings, Trace, TraceLevel
from aspen.validation import strip_unstorable

USER, ASSISTANT = "user", "assistant"
HISTORY = 12
"""Messages of the conversation that go before the new one, at most: recall is there for what is further back."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered, and all that went into it. Times are in seconds.

    `dropped_history` counts messages of the conversation that did not fit the context; of longer conversations, only
    the last HISTORY messages are tried. `memories` are those stored
    of this turn (what was said, what was answered), `trace_id` names the recording; none where nothing was stored.
    """

    text: str
    seed: int
    conversation: str
    note: Note | None
    recall: Recall | None
    trace_id: str | None
    memories: tuple[Memory, ...]
    dropped_history: int
    finish_reason: str
    prompt_tokens: int
    reply_tokens: int
    prefill_seconds: float
    decode_seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person said, where, and how it is to be answered."""

    text: str
    conversation: str
    seed: int
    sampler: SamplerSettings
    max_tokens: int
    system: str | None
    level: TraceLevel


def history_of(engine: Engine, conversation: str) -> list[Memory]:
    """The last memories of a conversation, oldest first."""
    return engine.repository.list(conversation=conversation, limit=HISTORY)[::-1]


def answer(
    engine: Engine,
    turn: Turn,
    *,
    history: list[Memory],
    note: Note | None,
    recall: Recall | None,
    remember: bool,
    on_text: Callable[[str], None] | None,
) -> Reply:
    """Generate a reply with every activation recorded, and store the turn if `remember`."""
    said_at, model = datetime.now(UTC), engine.model
    try:
        composed = _compose(engine, turn, history=history, note=note)
    except PromptTooLong:
        if note is None:
            raise
        note = None  # the message goes before what was recalled for it
        composed = _compose(engine, turn, history=history, note=None)
    with record(model) if remember else nullcontext() as recording:
        generation = generate(
            model,
            session=model.start_session(),
            prompt_ids=composed.chat.token_ids,
            settings=turn.sampler,
            seed=turn.seed,
            max_tokens=turn.max_tokens,
            on_text=on_text,
        )
    memories: tuple[Memory, ...] = ()
    if recording is not None:
        trace = build_trace(
            recording,
            generation=generation,
            prompt=composed.chat.text,
            segments=name_spans(composed.chat.spans, note=composed.note),
            seed=turn.seed,
            sampler=turn.sampler,
            max_tokens=turn.max_tokens,
            fingerprint=model.fingerprint,
            level=turn.level,
            conversation=turn.conversation,
            speaker=ASSISTANT,
            created_at=said_at,
        )
        shown = [memory.id for memory in history[composed.dropped :]] + list(note.memory_ids if note else ())
        memories = _store(engine, turn, trace, shown=shown)
    return Reply(
        text=generation.text,
        seed=turn.seed,
        conversation=turn.conversation,
        note=note,
        recall=recall,
        trace_id=memories[0].trace_id if memories else None,
        memories=memories,
        dropped_history=composed.dropped,
        finish_reason=generation.finish_reason,
        prompt_tokens=len(composed.chat.token_ids),
        reply_tokens=len(generation.token_ids),
        prefill_seconds=generation.prefill_seconds,
        decode_seconds=generation.decode_seconds,
    )


def _compose(engine: Engine, turn: Turn, *, history: list[Memory], note: Note | None) -> ComposedPrompt:
    return compose_prompt(
        engine.model,
        system=turn.system,
        note=note,
        history=history,
        message=turn.text,
        reserve=min(turn.max_tokens, engine.model.info.context_length // 2),
    )


def _store(engine: Engine, turn: Turn, trace: Trace, *, shown: list[str]) -> tuple[Memory, ...]:
    """What was said, what was answered, and the trace: one transaction. `shown` are memories in the prompt."""
    said = MemoryItem(turn.text, USER, trace.created_at, turn.conversation)
    items = [said]
    answered = strip_unstorable(trace.reply)
    if answered.strip():
        items.append(
            MemoryItem(
                answered,
                ASSISTANT,
                datetime.now(UTC),
                turn.conversation,
                provenance=Provenance.GENERATED,
            )
        )
    encoded = engine.encode([(memory_id(item), item) for item in items])
    body = encode_trace(trace)
    info = TraceInfo(trace.id, trace.conversation, trace.created_at, trace.seed, trace.level.value, len(body))
    traced = [replace(memory, trace_id=trace.id) for memory in encoded]
    try:
        new_trace = NewTrace(info, body, tuple(dict.fromkeys(shown)))
        return tuple(engine.repository.add(traced, trace=new_trace, stamp=engine.stamp))
    except NotFound:
        # A memory in the prompt was forgotten while the model answered: the trace, which holds its text, goes too.
        return tuple(engine.repository.add(encoded, stamp=engine.stamp))
