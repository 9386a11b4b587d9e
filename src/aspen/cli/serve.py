"""The commands `serve` and `view`: the memory viewer and its REST API."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from aspen.cli._options import DeviceOption, ModelOption, StoreOption, open_aspen
from aspen.cli._screen import put, say
from aspen.errors import MissingDependency
from aspen.server.settings import DEFAULT_PORT, settings_for

if TYPE_CHECKING:
    from aspen.server.running import Address

_EXTRA = frozenset({"fastapi", "pydantic", "starlette", "uvicorn"})
_LOOK_SECONDS = 2

HostOption = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Where to listen. Beyond this machine it asks for a token."
    ),
]
PortOption = Annotated[int, typer.Option("--port", "-p", metavar="N", help="The port; 0 takes a free one.")]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="A further name under which it may be asked for; may be repeated.",
    ),
]
RateOption = Annotated[
    float, typer.Option("--rate", metavar="N", help="Most requests of one client a second, on average.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(serve)
    app.command()(view)


def serve(
    context: typer.Context,
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = DEFAULT_PORT,
    allow_host: AllowHostOption = None,
    rate: RateOption = 200,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Serve the memory viewer and the REST API, until Ctrl-C.

    Only this machine can reach it, unless --host says otherwise; then it prints a token, without which it answers
    nobody. At its end it finishes the replies that it is writing.

    \b
    Examples:
      aspen serve
      aspen serve --store team.db --port 8500
      aspen serve --host 0.0.0.0 --allow-host notebook.local
    """
    _serve(
        context,
        host=host,
        port=port,
        allow_host=allow_host,
        rate=rate,
        store=store,
        model=model,
        device=device,
        shown=lambda address: None,
    )


def view(
    context: typer.Context,
    *,
    port: PortOption = DEFAULT_PORT,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Open the memory viewer in a browser.

    Serves the store until Ctrl-C, as `aspen serve` does; where that runs already, it opens its page and ends.

    \b
    Examples:
      aspen view
      aspen view --store team.db
    """
    url = f"http://127.0.0.1:{port}/"
    if port and store is None and _answers(url):
        _open(url)
        return
    _serve(
        context,
        host="127.0.0.1",
        port=port,
        allow_host=None,
        rate=200,
        store=store,
        model=model,
        device=device,
        shown=lambda address: _open(address.entrance),
    )


def _serve(
    context: typer.Context,
    *,
    host: str,
    port: int,
    allow_host: list[str] | None,
    rate: float,
    store: str | None,
    model: str | None,
    device: str | None,
    shown: Callable[[Address], None],
) -> None:
    try:
        from aspen.server import running  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise MissingDependency(
            f"{error.name}, which serves the viewer, is not installed.",
            hint="pip install 'aspen-memory[server]'",
        ) from error
    chosen = settings_for(host=host, port=port, allow_hosts=allow_host or (), rate=rate)

    def started(address: Address) -> None:
        put(address.entrance)
        sys.stdout.flush()  # whoever started it through a pipe waits for the address
        say(f"Serving {aspen.repository.location}. Ctrl-C ends it.")
        shown(address)

    with open_aspen(context, store=store, model=model, device=device, create=True) as aspen:
        running.serve(aspen, settings=chosen, started=started)
    say("Stopped; everything that was answered is stored.")


def _answers(url: str) -> bool:
    """Whether an Aspen server is at an address already."""
    try:
        with urllib.request.urlopen(f"{url}api/v1/live", timeout=_LOOK_SECONDS) as answer:  # noqa: S310 - http only
            return bool(answer.read() == b'{"alive":true}')
    except (urllib.error.URLError, OSError):
        return False


def _open(url: str) -> None:
    if not webbrowser.open(url):
        say(f"No browser could be opened. The page is at {url}", style="yellow")
