"""Recorded inferences, and running them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from aspen.activation_db import decode_trace
from aspen.aspen import Aspen
from aspen.errors import InvalidInput
from aspen.repository import TraceInfo
from aspen.server.asked import (
    Body,
    Cursor,
    HowFed,
    Id,
    InRoom,
    JsonRoute,
    Limit,
    NoteTokens,
    Seed,
    Store,
    Temperature,
    Text,
    optional,
)
from aspen.server.cursors import cursor_of, place_of
from aspen.server.jobs import Job, Progress
from aspen.server.problems import responses
from aspen.server.told import ListedTrace, Page, ToldTrace, told_trace, told_traces
from aspen.types import Fingerprint, Injection, Pass, SamplerSettings, Segment, Trace
from aspen.validation import MAX_SEED

router = APIRouter(route_class=JsonRoute, tags=["traces"])

_MOST = 10_000


class WholeTrace(ToldTrace):
    """What is known of an inference, but for its activations.

    `tokens` are the texts of `token_ids`: the prompt's `prompt_length`, then the reply's. Null where the model in use
    has another tokenizer.
    """

    speaker: str | None
    prompt: str
    reply: str
    token_ids: list[int]
    tokens: list[str] | None
    prompt_length: int
    segments: list[Segment]
    sampler: SamplerSettings
    max_tokens: int
    finish_reason: str
    fingerprint: Fingerprint
    passes: list[Pass]
    injection: Injection | None
    memories: list[str]


class ReplayOf(Body):
    """What is to be different; nothing, to verify the recording."""

    edit: Text | None = Field(default=None, description="What if the user had said this instead.")
    note: Text | None = Field(
        default=None, description="What if these memories had stood in the note, one a line."
    )
    no_note: bool = Field(default=False, description="What if there had been no note.")
    seed: Seed | None = None
    temperature: Temperature | None = None
    strategy: HowFed | None = None
    note_tokens: NoteTokens = 200


@router.get("/traces")
def traces(
    aspen: Store,
    conversation: Annotated[str | None, Query(min_length=1, max_length=500)] = None,
    seed: Annotated[int | None, Query(ge=0, le=MAX_SEED)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ListedTrace]:
    """Recorded inferences, newest first; those of replies that were not chosen name the one that was.

    Of more than 10,000 the newest; what is older is found by its conversation or its seed.
    """
    infos = aspen.repository.traces(conversation=conversation, seed=seed, limit=_MOST)
    rest = infos if cursor is None else _after(infos, cursor)
    shown = rest[:limit]
    following = cursor_of(shown[-1].created_at.isoformat(), shown[-1].id) if len(rest) > limit else None
    return Page(items=told_traces(aspen, shown), next=following)


@router.get("/traces/{trace_id}", responses=responses(404, 409))
def trace(trace_id: Id, aspen: Store) -> WholeTrace:
    """One inference: its tokens, and what decided them."""
    body = aspen.repository.trace(trace_id)
    found = decode_trace(body)
    return WholeTrace(
        **told_trace(found, size=len(body)).model_dump(),
        speaker=found.speaker,
        prompt=found.prompt,
        reply=found.reply,
        token_ids=found.token_ids.tolist(),
        tokens=_texts(aspen, found),
        prompt_length=found.prompt_length,
        segments=list(found.segments),
        sampler=found.sampler,
        max_tokens=found.max_tokens,
        finish_reason=found.finish_reason,
        fingerprint=found.fingerprint,
        passes=list(found.passes),
        injection=found.injection,
        memories=aspen.repository.trace_memories(trace_id),
    )


@router.post("/traces/{trace_id}/replay", status_code=202, responses=responses(404, 409, 413, 415))
async def replay(
    trace_id: Id, body: Annotated[ReplayOf, optional(ReplayOf)], room: InRoom, response: Response
) -> Job:
    """Run an inference again, as it was or with one thing changed. Nothing of it is stored.

    The result has `verified`, or the first difference; with a change, both runs side by side, and where their
    activations part.
    """
    aspen = room.aspen
    if body.note is not None and body.no_note:
        raise InvalidInput("`note` and `no_note` exclude each other.")
    aspen.repository.trace(trace_id)  # refused here rather than as a job that fails, where there is none

    def work(progress: Progress) -> Mapping[str, Any]:
        return _replayed(aspen, trace_id, body)

    job = room.jobs.start("replay", work, unit="runs", generates=True)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


def _replayed(aspen: Aspen, trace_id: str, body: ReplayOf) -> Mapping[str, Any]:
    note = "" if body.no_note else body.note
    changes = (body.edit, note, body.seed, body.temperature, body.strategy)
    if all(change is None for change in changes):
        report = aspen.replay(trace_id)
        return {**asdict(report), "verified": report.verified, "explanation": report.explain()}
    return aspen.what_if(
        trace_id,
        message=body.edit,
        note=note,
        seed=body.seed,
        temperature=body.temperature,
        strategy=body.strategy,
        note_tokens=body.note_tokens,
    ).data()


def _after(infos: list[TraceInfo], cursor: str) -> list[TraceInfo]:
    """What follows the place of a cursor; by its time, where the trace there was forgotten."""
    time, id_ = place_of(cursor, str, str)
    for place, info in enumerate(infos):
        if info.id == id_:
            return infos[place + 1 :]
    try:
        when = datetime.fromisoformat(time)
        return [info for info in infos if info.created_at < when]
    except (TypeError, ValueError) as error:
        raise InvalidInput("The cursor is none that this list gave.") from error


def _texts(aspen: Aspen, trace: Trace) -> list[str] | None:
    model = aspen.model
    if model.fingerprint.tokenizer != trace.fingerprint.tokenizer:
        return None
    ids = trace.token_ids
    return [model.detokenize(ids[place : place + 1], skip_special=False) for place in range(len(ids))]
