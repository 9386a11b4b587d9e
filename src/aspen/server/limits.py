"""How much a request may send, and how long it may take."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aspen.server.problems import Busy, problem_response
from aspen.server.settings import ServerSettings

IMPORT_PATH = "/api/v1/import"
_WRITTEN_BY_A_MODEL = ("/api/v1/chat", "/api/v1/ask")


class BodyLimit:
    """Answers 413 to a body that is larger than it may be, before it is read, or as soon as it is."""

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._settings.import_limit if scope["path"] == IMPORT_PATH else self._settings.body_limit
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            answer = problem_response(
                413, error="BodyTooLarge", detail=_too_large(limit), hint="Send it in parts."
            )
            # The connection is closed with it: what the client goes on to send is not read.
            answer.headers["connection"] = "close"
            await answer(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise HTTPException(413, _too_large(limit).rstrip("."), {"connection": "close"})
            return message

        await self._app(scope, receive_counted, send)


def _too_large(limit: int) -> str:
    return f"The body may have {limit:,} bytes at most."


class TimeLimit:
    """Answers 503 where no response has begun in time. What is under way is not broken off: it ends by itself."""

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = given_up = False

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            if not given_up:
                begun = True
                await send(message)

        limit = self._limit(scope["path"])
        task = asyncio.ensure_future(self._run(scope, receive, send_in_time))
        try:
            await asyncio.wait({task}, timeout=limit)
            if task.done() or begun:
                await task
                return
        except asyncio.CancelledError:  # uvicorn does not wait any longer: the server ends
            task.cancel()
            if begun:
                raise
            given_up = True
            await Busy("The server ends; what this wrote may be stored.").response()(scope, receive, send)
            return
        given_up = True
        self._late.add(task)
        task.add_done_callback(self._end)
        detail = f"This took longer than {limit:g} seconds; if it writes, it may still be written."
        await Busy(detail).response()(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # was answered already; asking for it keeps asyncio from complaining

    def _limit(self, path: str) -> float:
        if path == IMPORT_PATH or path.startswith(_WRITTEN_BY_A_MODEL):
            return self._settings.generation_seconds
        return self._settings.request_seconds
