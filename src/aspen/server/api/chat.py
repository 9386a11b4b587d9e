"""Talking with the model, which remembers: a reply at once, or piece by piece as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from aspen.server import events
from aspen.server.asked import (
    Body,
    HowFed,
    InRoom,
    JsonRoute,
    Name,
    NoteTokens,
    Seed,
    Temperature,
    Text,
    Tokens,
)
from aspen.server.generating import Generation, Stop, Stopped
from aspen.server.problems import problem_of, responses
from aspen.server.room import Room
from aspen.turns import Reply
from aspen.types import SamplerSettings, TraceLevel

router = APIRouter(route_class=JsonRoute, tags=["chat"])

_EVENTS = {
    "description": "The reply. With `Accept: text/event-stream` it comes as it is written: events `token` "
    '({"text"}), then one `reply` (the whole of it), or one `error` (a problem).',
    "content": events.content(
        {"token": 'a piece of the text, {"text"}', "reply": "the whole of it", "error": "a problem"}
    ),
}


class Message(Body):
    """What a person says, and how it is to be answered."""

    message: Annotated[Text, Field(examples=["Where did my sister move to?"])]
    conversation: Annotated[Name, Field(examples=["family"])] = "default"
    strategy: HowFed | None = Field(default=None, description="How memories are fed back.")
    memory: bool = Field(default=True, description="Whether to recall for this message.")
    remember: bool = Field(default=True, description="Whether to store the turn, with its activations.")
    seed: Seed | None = Field(default=None, description="Of the sampler; drawn where null.")
    temperature: Temperature | None = None
    max_tokens: Tokens = 256
    note_tokens: NoteTokens = 200
    system: Text | None = None
    level: Annotated[TraceLevel, Field(strict=False)] = TraceLevel.POOLED


@router.post("/chat", response_model=Reply, responses={200: _EVENTS, **responses(404, 409, 413, 415)})
async def chat(body: Message, request: Request, room: InRoom) -> Reply | Response:
    """Answer a message, and remember the turn. It waits for its turn; where the client goes away, it is stopped.

    What was stopped is not stored, neither what was said nor what was answered until then.
    """
    if events.MEDIA_TYPE not in request.headers.get("accept", ""):
        return await room.generations.result(
            request, lambda stop: _answered(room, body, on_text=lambda piece: stop.check())
        )
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def answer(stop: Stop) -> Reply:
        def on_text(piece: str) -> None:
            stop.check()
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        return _answered(room, body, on_text=on_text)

    generation = room.generations.start(answer)  # refused here, with a status of its own, where too many wait
    generation.task.add_done_callback(lambda task: pieces.put_nowait(None))
    return events.stream(_events(pieces, generation))


def _answered(room: Room, body: Message, *, on_text: Callable[[str], None]) -> Reply:
    sampler = SamplerSettings()
    if body.temperature is not None:
        sampler = replace(sampler, temperature=body.temperature)
    return room.aspen.chat(
        body.message,
        conversation=body.conversation,
        strategy=body.strategy,
        seed=body.seed,
        memory=body.memory,
        remember=body.remember,
        sampler=sampler,
        max_tokens=body.max_tokens,
        note_tokens=body.note_tokens,
        system=body.system,
        level=body.level,
        on_text=on_text,
    )


async def _events(
    pieces: asyncio.Queue[str | None], generation: Generation[Reply]
) -> AsyncGenerator[bytes, None]:
    try:
        while (piece := await pieces.get()) is not None:
            yield events.event("token", {"text": piece})
        try:
            yield events.event("reply", generation.task.result())
        except Stopped:  # the server ends
            return
        except Exception as error:  # noqa: BLE001 - the response has begun: the error is told in it
            yield events.event("error", problem_of(error))
    finally:
        generation.stop.ask()
        generation.withdraw()
