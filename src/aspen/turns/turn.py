"""One turn of a conversation: what was said, what the model answers, and what is kept of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aspen.activation_db import encode_trace
from aspen.activation_logger import Recording, build_trace, record
from aspen.engine import Engine
from aspen.errors import NotFound
from aspen.items import memory_id
from aspen.memory_injector import Note, Prepared, ReadsRecording, RecallFor, Strategy
from aspen.models import Generation, Session, sample_reply
from aspen.repository import NewTrace, TraceInfo
from aspen.turns.situations import KeptRecall, Turn, situation_of
from aspen.types import (
    Injection,
    Memory,
    MemoryItem,
    Provenance,
    Recall,
    Trace,
)
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
    `injection` tells how memories were fed back, `note` what they said where they came as text; None without memory.
    `recall` is the last one that the strategy asked for, None where it asked for none.
    """

    text: str
    seed: int
    conversation: str
    injection: Injection | None
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


def history_of(engine: Engine, conversation: str, *, before: int | None = None) -> list[Memory]:
    """The last memories of a conversation, those with seq < `before` where it is given; oldest first."""
    return engine.repository.list(conversation=conversation, before=before, limit=HISTORY)[::-1]


def answer(
    engine: Engine,
    turn: Turn,
    *,
    strategy: Strategy,
    history: list[Memory],
    recall: RecallFor,
    remember: bool,
    on_text: Callable[[str], None] | None,
) -> Reply:
    """Generate a reply with every activation recorded, and store the turn if `remember`."""
    said_at, model, kept = datetime.now(UTC), engine.model, KeptRecall(recall)
    records = remember or isinstance(strategy, ReadsRecording)
    with record(model) if records else nullcontext() as recording:
        session = model.start_session()
        prepared = prepare(
            engine,
            turn,
            strategy=strategy,
            session=session,
            recording=recording,
            history=history,
            recall=kept,
        )
        generation = sample_reply(
            model,
            session=session,
            prompt_ids=prepared.token_ids,
            logits=prepared.logits,
            settings=turn.sampler,
            seed=turn.seed,
            max_tokens=turn.max_tokens,
            on_text=on_text,
            prefill_seconds=prepared.seconds,
        )
    memories: tuple[Memory, ...] = ()
    if recording is not None and remember:
        trace = trace_of(engine, turn, recording, generation=generation, prepared=prepared, said_at=said_at)
        memories = store(engine, turn, trace, shown=shown_in(prepared, history))
    return reply_of(turn, prepared, generation=generation, recall=kept.last, memories=memories)


def prepare(
    engine: Engine,
    turn: Turn,
    *,
    strategy: Strategy,
    session: Session,
    recording: Recording | None,
    history: list[Memory],
    recall: KeptRecall,
) -> Prepared:
    """The prompt, fed as the strategy has it.

    Its injection tells how familiar the message was, and which of the memories fed back was the best hit.
    """
    prepared = strategy.prepare(
        situation_of(engine, turn, session=session, recording=recording, history=history, recall=recall)
    )
    injection, last = prepared.injection, recall.last
    if injection is None or last is None:
        return prepared
    figures = {"familiarity": last.familiarity, **injection.figures}
    given = frozenset(injection.memory_ids)
    best = next((hit.memory.id for hit in last.hits if hit.memory.id in given), None)
    return replace(prepared, injection=replace(injection, figures=figures, best=best))


def trace_of(
    engine: Engine,
    turn: Turn,
    recording: Recording,
    *,
    generation: Generation,
    prepared: Prepared,
    said_at: datetime,
) -> Trace:
    """The trace of one reply to a turn."""
    return build_trace(
        recording,
        generation=generation,
        prompt=prepared.text,
        segments=prepared.segments,
        seed=turn.seed,
        sampler=turn.sampler,
        max_tokens=turn.max_tokens,
        fingerprint=engine.model.fingerprint,
        level=turn.level,
        passes=prepared.passes,
        injection=prepared.injection,
        conversation=turn.conversation,
        speaker=ASSISTANT,
        created_at=said_at,
    )


def shown_in(prepared: Prepared, history: list[Memory]) -> list[str]:
    """Ids of the memories that stand in a prompt, as history or by a strategy."""
    used = prepared.injection.memory_ids if prepared.injection else ()
    return [*(memory.id for memory in history[prepared.dropped :]), *used]


def reply_of(
    turn: Turn,
    prepared: Prepared,
    *,
    generation: Generation,
    recall: Recall | None,
    memories: tuple[Memory, ...],
) -> Reply:
    """What is told of a reply."""
    return Reply(
        text=generation.text,
        seed=turn.seed,
        conversation=turn.conversation,
        injection=prepared.injection,
        note=prepared.note,
        recall=recall,
        trace_id=memories[0].trace_id if memories else None,
        memories=memories,
        dropped_history=prepared.dropped,
        finish_reason=generation.finish_reason,
        prompt_tokens=len(prepared.token_ids),
        reply_tokens=len(generation.token_ids),
        prefill_seconds=generation.prefill_seconds,
        decode_seconds=generation.decode_seconds,
    )


def store(engine: Engine, turn: Turn, trace: Trace, *, shown: list[str]) -> tuple[Memory, ...]:
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
    traced = [replace(memory, trace_id=trace.id) for memory in encoded]
    try:
        new_trace = encoded_trace(trace, mentions=shown)
        return tuple(engine.repository.add(traced, trace=new_trace, stamp=engine.stamp))
    except NotFound:
        # A memory in the prompt was forgotten while the model answered: the trace, which holds its text, goes too.
        return tuple(engine.repository.add(encoded, stamp=engine.stamp))


def encoded_trace(trace: Trace, *, mentions: Sequence[str]) -> NewTrace:
    """A trace ready to be stored; `mentions` are memories that it goes with."""
    body = encode_trace(trace)
    info = TraceInfo(trace.id, trace.conversation, trace.created_at, trace.seed, trace.level.value, len(body))
    return NewTrace(info, body, tuple(dict.fromkeys(mentions)))
