"""Conversations as they happened, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter
from pydantic import BaseModel

from aspen.activation_db import decode_trace
from aspen.aspen import Aspen
from aspen.errors import NotFound, TraceError
from aspen.repository import Conversation
from aspen.server.asked import Cursor, Id, JsonRoute, Limit, Store
from aspen.server.cursors import cursor_of, place_of
from aspen.server.problems import responses
from aspen.server.told import Listed, Page, ToldMemory, ToldTrace, told, told_trace
from aspen.turns.turn import ASSISTANT, USER
from aspen.types import Injection, Memory, Trace

router = APIRouter(route_class=JsonRoute, tags=["conversations"])

_MOST_TURNS = 100
"""Of one page: the trace of each is read."""


class ToldTurn(BaseModel):
    """What was said, and what was answered; null where nothing was.

    `trace` is its recording, with `injection` (how memories were fed back), the memories `injected` that are still
    there, and `seed`; `trace_error` is why there is a recording that cannot be shown. `familiarity` in [0, 1] where
    something was recalled; `seconds` from what was said to the end of the reply.
    """

    said: ToldMemory | None
    reply: ToldMemory | None
    trace: ToldTrace | None
    trace_error: str | None
    injection: Injection | None
    injected: list[ToldMemory]
    seed: int | None
    familiarity: float | None
    prompt_tokens: int | None
    reply_tokens: int | None
    finish_reason: str | None
    seconds: float | None


@router.get("/conversations")
def conversations(aspen: Store) -> Listed[Conversation]:
    """All conversations, the one with the newest memory first."""
    return Listed(items=list(aspen.conversations()))


@router.get("/conversations/{conversation_id:path}/turns", responses=responses(404))
def turns(conversation_id: Id, aspen: Store, cursor: Cursor = None, limit: Limit = 20) -> Page[ToldTurn]:
    """The turns of a conversation, newest first."""
    before = place_of(cursor, int)[0] if cursor is not None else None
    limit = min(limit, _MOST_TURNS)
    # One more than the turns can have: the oldest is only there to show that there is more.
    rows = aspen.repository.list(conversation=conversation_id, before=before, limit=2 * limit + 1)
    if not rows and before is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.", conversation=conversation_id)
    found = list(_turns(rows))[:limit]
    shown = sum(len(turn) for turn in found)
    following = cursor_of(found[-1][0].seq) if shown < len(rows) else None
    return Page(items=[_told(aspen, turn) for turn in found], next=following)


def _turns(rows: Sequence[Memory]) -> Iterator[list[Memory]]:
    """Memories of a conversation, newest first, as turns: what was said and its reply, or one of them alone."""
    place = 0
    while place < len(rows):
        later, earlier = rows[place], rows[place + 1] if place + 1 < len(rows) else None
        if earlier is not None and _answers(later, earlier):
            yield [earlier, later]
            place += 2
        else:
            yield [later]
            place += 1


def _answers(later: Memory, earlier: Memory) -> bool:
    if later.trace_id is not None or earlier.trace_id is not None:
        return later.trace_id == earlier.trace_id
    return (earlier.speaker, later.speaker) == (USER, ASSISTANT)


def _told(aspen: Aspen, turn: list[Memory]) -> ToldTurn:
    said = next((memory for memory in turn if memory.speaker != ASSISTANT), None)
    reply = next((memory for memory in turn if memory.speaker == ASSISTANT), None)
    trace, info, problem = _trace(aspen, turn[0].trace_id)
    injection = trace.injection if trace else None
    known = aspen.repository.known(injection.memory_ids) if injection else set()
    injected = (
        aspen.repository.get([id_ for id_ in injection.memory_ids if id_ in known]) if injection else []
    )
    standing = {memory.id: memory for memory in told(aspen, [*turn, *injected])}
    return ToldTurn(
        said=standing[said.id] if said else None,
        reply=standing[reply.id] if reply else None,
        trace=info,
        trace_error=problem,
        injection=injection,
        injected=[standing[memory.id] for memory in injected],
        seed=trace.seed if trace else None,
        familiarity=injection.figures.get("familiarity") if injection else None,
        prompt_tokens=trace.prompt_length if trace else None,
        reply_tokens=len(trace.token_ids) - trace.prompt_length if trace else None,
        finish_reason=trace.finish_reason if trace else None,
        seconds=_between(turn) if trace else None,
    )


def _between(turn: list[Memory]) -> float | None:
    """Seconds from the first of the turn to the last; None where that is not known, or it is one alone."""
    first, last = turn[0].said_at, turn[-1].said_at
    return (last - first).total_seconds() if len(turn) > 1 and first and last else None


def _trace(aspen: Aspen, trace_id: str | None) -> tuple[Trace | None, ToldTrace | None, str | None]:
    """A trace, and what a list shows of it; or why it cannot be shown, which is no reason to hide the turn."""
    if trace_id is None:
        return None, None, None
    try:
        body = aspen.repository.trace(trace_id)
        trace = decode_trace(body)
    except (NotFound, TraceError) as error:
        return None, None, str(error)
    return trace, told_trace(trace, size=len(body)), None
