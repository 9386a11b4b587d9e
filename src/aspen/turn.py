"""One turn of a conversation: what was said, what the model answers, and what is kept of both."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aspen.activation_db import decode_trace, encode_trace
from aspen.activation_logger import build_trace, record
from aspen.engine import Engine
from aspen.errors import NotFound
from aspen.items import memory_id
from aspen.memory_injector import (
    Note,
    ReadsRecording,
    RecallFor,
    Situation,
    Strategy,
    TraceMemories,
)
from aspen.models import sample_reply
from aspen.repository import MAX_LIMIT, NewTrace, TraceInfo
from aspen.types import (
    Injection,
    Memory,
    MemoryItem,
    Provenance,
    Recall,
    RelationType,
    SamplerSettings,
    Trace,
    TraceLevel,
)
from aspen.unknown_familiarity import unknown_familiarity
from aspen.validation import strip_unstorable

USER, ASSISTANT = "user", "assistant"
HISTORY = 12
"""Messages of the conversation that go before the new one, at most: recall is there for what is further back."""
_AROUND = 2
"""Turns before a memory, and after it, that a strategy may look at."""
_FAN = 1000  # edges into a memory among which the one from the turn before it is looked for
_NEXT, _CORRECTED = RelationType.NEXT.value, RelationType.HISTORICAL_VERSION_OF.value


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
    budget: int
    kv_check: int


def history_of(engine: Engine, conversation: str) -> list[Memory]:
    """The last memories of a conversation, oldest first."""
    return engine.repository.list(conversation=conversation, limit=HISTORY)[::-1]


def turns_around(engine: Engine, memory: Memory) -> list[Memory]:
    """The conversation around a memory, see `Situation.around`."""
    before, after = [memory], [memory]
    for _ in range(_AROUND):
        before += _beside(engine, before[-1], before=True)
        after += _beside(engine, after[-1], before=False)
    found = [*before[:0:-1], *after]
    return list({one.seq: one for one in found}.values())


def _beside(engine: Engine, memory: Memory, *, before: bool) -> list[Memory]:
    """The turn before or after a memory, unless it was corrected or there is none."""
    repository = engine.repository
    if before:
        rows = repository.in_edges([memory.seq], fan=_FAN)
        seqs = [seq for seq, kind in zip(rows.sources.tolist(), rows.types, strict=True) if kind == _NEXT]
    else:
        seqs = repository.out_edges([memory.seq], fan=1, types=[_NEXT]).targets.tolist()
    if len(repository.out_edges(seqs, fan=1, types=[_CORRECTED]).targets):
        return []
    return repository.get_by_seq(seqs[:1])


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
    said_at, model = datetime.now(UTC), engine.model
    recalled: dict[tuple[str, frozenset[str] | None], Recall] = {}

    def recall_and_keep(prompt: str, *, tags: Collection[str] | None = None) -> Recall:
        """Each once: a strategy that falls back on another, or chose it, need not search again."""
        asked = (prompt, None if tags is None else frozenset(tags))
        found = recalled.pop(asked) if asked in recalled else recall(prompt, tags=tags)
        recalled[asked] = found  # the last one asked for is last
        return found

    records = remember or isinstance(strategy, ReadsRecording)
    with record(model) if records else nullcontext() as recording:
        session = model.start_session()
        prepared = strategy.prepare(
            Situation(
                model=model,
                session=session,
                recording=recording,
                message=turn.text,
                system=turn.system,
                history=history,
                reserve=min(turn.max_tokens, model.info.context_length // 2),
                budget=min(turn.budget, model.info.context_length // 4),
                seed=turn.seed,
                sampler=turn.sampler,
                recall=recall_and_keep,
                trace=lambda id_: decode_trace(engine.repository.trace(id_)),
                trace_memories=lambda id_: _trace_memories(engine, id_),
                examples=lambda memory: _examples(engine, memory),
                fragments=engine,
                kv_check=turn.kv_check,
                around=lambda memory: turns_around(engine, memory),
                unknown_familiarity=lambda memories: unknown_familiarity(engine, memories=memories),
            )
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
        trace = build_trace(
            recording,
            generation=generation,
            prompt=prepared.text,
            segments=prepared.segments,
            seed=turn.seed,
            sampler=turn.sampler,
            max_tokens=turn.max_tokens,
            fingerprint=model.fingerprint,
            level=turn.level,
            passes=prepared.passes,
            injection=prepared.injection,
            conversation=turn.conversation,
            speaker=ASSISTANT,
            created_at=said_at,
        )
        used = prepared.injection.memory_ids if prepared.injection else ()
        shown = [*(memory.id for memory in history[prepared.dropped :]), *used]
        memories = _store(engine, turn, trace, shown=shown)
    return Reply(
        text=generation.text,
        seed=turn.seed,
        conversation=turn.conversation,
        injection=prepared.injection,
        note=prepared.note,
        recall=list(recalled.values())[-1] if recalled else None,
        trace_id=memories[0].trace_id if memories else None,
        memories=memories,
        dropped_history=prepared.dropped,
        finish_reason=generation.finish_reason,
        prompt_tokens=len(prepared.token_ids),
        reply_tokens=len(generation.token_ids),
        prefill_seconds=generation.prefill_seconds,
        decode_seconds=generation.decode_seconds,
    )


def _trace_memories(engine: Engine, trace_id: str) -> TraceMemories:
    ids = engine.repository.trace_memories(trace_id)
    try:
        seqs = [memory.seq for memory in engine.repository.get(ids)]
    except NotFound as error:  # one was forgotten just now, and the trace with it
        raise NotFound(f"There is no trace {trace_id!r}.", trace_id=trace_id) from error
    corrected = _targets(engine, seqs, RelationType.HISTORICAL_VERSION_OF)
    return TraceMemories(tuple(ids), corrected=bool(corrected))


def _examples(engine: Engine, memory: Memory) -> list[str]:
    seqs = _targets(engine, [memory.seq], RelationType.SUMMARIZES)
    return [example.id for example in engine.repository.get_by_seq(seqs)]


def _targets(engine: Engine, seqs: list[int], relation: RelationType) -> list[int]:
    """Where relations of one type lead from some memories."""
    rows = engine.repository.out_edges(seqs, fan=MAX_LIMIT, types=[relation.value])
    return [int(seq) for seq in rows.targets]


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
