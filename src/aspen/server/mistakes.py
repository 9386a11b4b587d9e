"""What no route expects: mistakes of the server itself, and requests that nobody waits for any more."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aspen.server.generating import Stopped
from aspen.server.problems import Busy, mistake_response

_NOBODY_WAITS = "The server is about to end, or the client has gone away."


class Mistakes:
    """Answers what was raised with a problem, where no response has begun yet.

    It stands within Starlette's own handling of errors, which would answer as well, but then raise again: uvicorn
    writes what it gets so to its log, with the message of the error, which may quote a memory.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except (Stopped, ClientDisconnect):
            answer: Response | None = Busy(_NOBODY_WAITS).response()
        except Exception as error:  # noqa: BLE001 - told to whoever asked, and written to the log
            answer = mistake_response(error)
        else:
            answer = None
        if answer is not None and not begun:
            await answer(scope, receive, send)
