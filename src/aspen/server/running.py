"""Running the server: its socket, its start, and an end that finishes what was begun."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import uvicorn

from aspen.aspen import Aspen
from aspen.errors import AspenError, InvalidInput
from aspen.server.app import create_api, guarded
from aspen.server.connections import connections
from aspen.server.room import Room
from aspen.server.settings import ServerSettings, host_name

_KEEP_ALIVE_SECONDS = 20
_BACKLOG = 128
_START_SECONDS = 30.0
_ON_ALL = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - how to reach what listens on all addresses
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_LOG_LINES = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"output": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {name: {"handlers": ["output"], "level": "WARNING"} for name in ("uvicorn", "aspen.server")},
}
"""What is written to stderr: uvicorn's lines and the server's own alike, each with its time."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server can be reached: `url` without the token, `entrance` with it, where one is asked for."""

    url: str
    entrance: str


def serve(
    aspen: Aspen, *, settings: ServerSettings, started: Callable[[Address], None], warm: bool = True
) -> None:
    """Serve a store until the process is told to end (SIGINT, SIGTERM), then finish what is under way.

    `started` is called once it answers. InvalidInput where it cannot listen at its address.
    """
    with _bound(settings) as (bound, listening):
        _Server.of(aspen, bound, started=started, warm=warm).run(sockets=[listening])


@contextlib.contextmanager
def running(aspen: Aspen, *, settings: ServerSettings, warm: bool = True) -> Iterator[Address]:
    """Serve a store in a thread, as long as the context is open: for tests, and beside other work."""
    addresses: list[Address] = []
    ready = threading.Event()

    def started(address: Address) -> None:
        addresses.append(address)
        ready.set()

    with _bound(settings) as (bound, listening):
        server = _Server.of(aspen, bound, started=started, warm=warm)
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]), name="aspen-server")
        thread.start()
        try:
            if not ready.wait(_START_SECONDS):
                raise AspenError("The server did not start.", hint="Its output says why.")
            yield addresses[0]
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn, which tells when it listens and when it begins to end."""

    def __init__(self, config: uvicorn.Config, *, room: Room, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._room = room
        self._told = told

    @classmethod
    def of(
        cls, aspen: Aspen, settings: ServerSettings, *, started: Callable[[Address], None], warm: bool
    ) -> _Server:
        api = create_api(aspen, settings=settings, warm=warm)
        config = uvicorn.Config(
            guarded(api, settings=settings),
            http=connections(settings),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=_LOG_LINES,
            log_level="warning",
            access_log=False,  # addresses hold what was searched for
            server_header=False,
            proxy_headers=False,  # who asks is who is connected
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(settings.grace_seconds),
            backlog=_BACKLOG,
        )
        return cls(config, room=api.state.room, told=lambda: started(address_of(settings)))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self.started:
            self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which waits for responses: those that follow a job are let go first."""
        self._room.jobs.begin_to_close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at the first signal, at once at the second; not as uvicorn does, which then raises them again.

        The store is to be closed behind it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def address_of(settings: ServerSettings) -> Address:
    """Where a server with these settings is reached."""
    name = host_name(settings.host)
    url = f"http://{_ON_ALL.get(name, name)}:{settings.port}/"
    return Address(url, url if settings.token is None else f"{url}?token={settings.token}")


@contextlib.contextmanager
def _bound(settings: ServerSettings) -> Iterator[tuple[ServerSettings, socket.socket]]:
    """A socket at the address, and the settings with the port that it has."""
    host = settings.host.strip("[]")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refused(settings, error) from error
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(place)
            listening.listen(_BACKLOG)
        except OSError as error:
            raise _refused(settings, error) from error
        listening.settimeout(0)  # does not block
        yield replace(settings, port=listening.getsockname()[1]), listening


def _refused(settings: ServerSettings, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"The server cannot listen at {settings.host}, port {settings.port}: {error.strerror or error}.",
        hint="Take another --port; 0 takes a free one.",
        host=settings.host,
        port=settings.port,
    )
