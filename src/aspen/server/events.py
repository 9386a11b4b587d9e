"""Server-sent events: a reply as it is written, a job as it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import TypeAdapter

MEDIA_TYPE = "text/event-stream"
_PING_SECONDS = 10.0
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


def content(names: Mapping[str, str]) -> dict[str, Any]:
    """What OpenAPI says of a stream of events; `names` by what their data is."""
    one = {
        "type": "object",
        "properties": {
            "event": {"type": "string", "enum": list(names)},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "description": "; ".join(f"{name}: {what}" for name, what in names.items()),
            },
        },
        "required": ["data"],
    }
    return {MEDIA_TYPE: {"itemSchema": one}}


def event(name: str, data: object) -> bytes:
    """One event; its data is one JSON document."""
    return format_sse_event(event=name, data_str=_ANYTHING.dump_json(data).decode())


def stream(events: AsyncGenerator[bytes, None]) -> EventSourceResponse:
    """A response of events. A comment goes out where none comes for a while, so that nobody takes it for dead."""
    return EventSourceResponse(_with_pings(events), headers={"X-Accel-Buffering": "no"})


async def _with_pings(events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    coming: asyncio.Task[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({coming}, timeout=_PING_SECONDS)
            if not done:
                yield b": waiting\n\n"
                continue
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
            coming = None
    finally:
        # Nothing is awaited here: where the client is gone, this runs inside a scope that is cancelled.
        if coming is not None and not coming.done():
            coming.cancel()
        else:
            _closing.add(task := asyncio.ensure_future(events.aclose()))
            task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()
"""Tasks that nobody else holds, and that must not be collected before they are done."""


async def _next(events: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(events)
