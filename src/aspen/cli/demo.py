"""The command `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aspen.demo import run_demo


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(demo)


def demo(
    *,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="PATH", help="Where the store goes. Default: a new temporary folder."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer turns and questions.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Leave the store there, to go on with it.")
    ] = True,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="PATH", help="Save a picture of one screen as SVG.")
    ] = None,
) -> None:
    """Play a story in two processes on one store.

    With the bundled model it takes a minute or two. In the first process a person talks with the model, and every
    turn is recorded. The second knows nothing but the store: it shows what is recalled for new questions, the
    replies with and without memory, and replays a trace bit for bit. Ends with exit code 7 if that trace cannot be
    verified.

    \b
    Examples:
      aspen demo
      aspen demo --store story.db --svg demo.svg
    """
    code = run_demo(store, quick=quick, keep=keep, svg=svg)
    if code:
        raise typer.Exit(code)
