"""Connections: how long a client may take to send a request, how many there may be, and what is no HTTP.

uvicorn waits without end for a request that comes byte by byte; whoever opens enough of those keeps all others out
(Slowloris).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from aspen.server.limits import IMPORT_PATH
from aspen.server.problems import Busy, problem_response
from aspen.server.security import safe_headers
from aspen.server.settings import ServerSettings

MOST_CONNECTIONS = 500


class Connection(H11Protocol):
    """A connection of uvicorn, which is closed where a request takes too long to come."""

    settings: ClassVar[ServerSettings]
    most: ClassVar[int] = MOST_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio. One more than there may be is told so, and closed."""
        self._waiting_for: str | None = None
        self._too_late: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(Busy(f"There are {self.most} connections already.").response())
        else:
            self._watch(opened=True)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._wait_for(None)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """See uvicorn, which would say it in plain text."""
        self._refuse(
            problem_response(400, error="BadRequest", detail=msg, hint="It speaks HTTP/1.1 and 1.0.")
        )

    def _watch(self, *, opened: bool = False) -> None:
        """Begin to count the time for what is to come next: the head of a request, its body, or nothing.

        Between two requests the time of uvicorn for an idle connection counts.
        """
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._wait_for("body")
        elif state is h11.IDLE and (opened or self._waiting_for == "head" or self.conn.trailing_data[0]):
            self._wait_for("head")
        else:
            self._wait_for(None)

    def _wait_for(self, what: str | None) -> None:
        if what == self._waiting_for:
            return
        self._waiting_for = what
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
        if what is not None and not self.transport.is_closing():
            self._too_late = self.loop.call_later(self._seconds(what), self.transport.close)

    def _seconds(self, what: str) -> float:
        if what == "head":
            return self.settings.head_seconds
        is_file = self.scope["path"] == IMPORT_PATH
        return self.settings.generation_seconds if is_file else self.settings.request_seconds

    def _refuse(self, answer: Response) -> None:
        """Send this instead of what the app would say, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reason = HTTPStatus(answer.status_code).phrase.encode()
            headers = [*answer.raw_headers, *safe_headers(""), (b"connection", b"close")]
            for event in (
                h11.Response(status_code=answer.status_code, headers=headers, reason=reason),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def connections(settings: ServerSettings) -> type[asyncio.Protocol]:
    """The class of connections of a server with these settings."""
    members: dict[str, Any] = {"settings": settings}
    return type("Connection", (Connection,), members)
