"""A turn as it is asked for, and the situation that a strategy finds: the turn, and ways to ask the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aspen.activation_db import decode_trace
from aspen.activation_logger import Recording
from aspen.engine import Engine
from aspen.errors import NotFound
from aspen.memory_injector import RecallFor, Situation, TraceMemories
from aspen.models import Session
from aspen.repository import MAX_LIMIT
from aspen.turns.unknown_familiarity import unknown_familiarity
from aspen.types import Memory, Recall, RelationType, SamplerSettings, TraceLevel
from aspen.validation import check_count, check_kind, check_name, check_text

_AROUND = 2
"""Turns before a memory, and after it, that a strategy may look at."""
_FAN = 1000  # edges into a memory among which the one from the turn before it is looked for
_NEXT, _CORRECTED = RelationType.NEXT.value, RelationType.HISTORICAL_VERSION_OF.value


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


def checked_turn(turn: Turn) -> Turn:
    """The turn itself; InvalidInput where one of its parts cannot be used."""
    check_text(turn.text, what="message")
    check_name(check_text(turn.conversation, what="conversation"), what="conversation")
    if turn.system is not None:
        check_text(turn.system, what="system")
    check_count(turn.max_tokens, what="max_tokens", maximum=1_000_000)
    check_count(turn.budget, what="note_tokens", minimum=0, maximum=1_000_000)
    check_kind(turn.sampler, SamplerSettings, what="sampler")
    check_kind(turn.level, TraceLevel, what="level")
    return turn


class KeptRecall:
    """Recalls for a strategy, each prompt once: one that falls back on another, or chose it, need not search again."""

    def __init__(self, recall: RecallFor) -> None:
        self._recall = recall
        self._found: dict[tuple[str, frozenset[str] | None], Recall] = {}

    @property
    def last(self) -> Recall | None:
        """The one that was asked for last."""
        return next(reversed(self._found.values()), None)

    def __call__(self, prompt: str, *, tags: Collection[str] | None = None) -> Recall:
        """See `RecallFor`."""
        asked = (prompt, None if tags is None else frozenset(tags))
        found = self._found.pop(asked) if asked in self._found else self._recall(prompt, tags=tags)
        self._found[asked] = found
        return found


def situation_of(
    engine: Engine,
    turn: Turn,
    *,
    session: Session,
    recording: Recording | None,
    history: list[Memory],
    recall: RecallFor,
) -> Situation:
    """What a strategy gets to prepare the reply of a turn in an empty session."""
    context = engine.model.info.context_length
    return Situation(
        model=engine.model,
        session=session,
        recording=recording,
        message=turn.text,
        system=turn.system,
        history=history,
        reserve=min(turn.max_tokens, context // 2),
        budget=min(turn.budget, context // 4),
        seed=turn.seed,
        sampler=turn.sampler,
        recall=recall,
        trace=lambda id_: decode_trace(engine.repository.trace(id_)),
        trace_memories=lambda id_: _trace_memories(engine, id_),
        examples=lambda memory: _examples(engine, memory),
        fragments=engine,
        kv_check=turn.kv_check,
        around=lambda memory: turns_around(engine, memory),
        unknown_familiarity=lambda memories: unknown_familiarity(engine, memories=memories),
    )


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


def _trace_memories(engine: Engine, trace_id: str) -> TraceMemories:
    ids = engine.repository.trace_memories(trace_id)
    try:
        seqs = [memory.seq for memory in engine.repository.get(ids)]
    except NotFound as error:  # one was forgotten just now, and the trace with it
        raise NotFound(f"There is no trace {trace_id!r}.", trace_id=trace_id) from error
    corrected = _targets(engine, seqs, RelationType.HISTORICAL_VERSION_OF)
    return TraceMemories(tuple(ids), tuple(seqs), corrected=bool(corrected))


def _examples(engine: Engine, memory: Memory) -> list[str]:
    seqs = _targets(engine, [memory.seq], RelationType.SUMMARIZES)
    return [example.id for example in engine.repository.get_by_seq(seqs)]


def _targets(engine: Engine, seqs: list[int], relation: RelationType) -> list[int]:
    """Where relations of one type lead from some memories."""
    rows = engine.repository.out_edges(seqs, fan=MAX_LIMIT, types=[relation.value])
    return [int(seq) for seq in rows.targets]
