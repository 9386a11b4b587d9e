"""Commands on the versions of a memory: correct, history."""

from __future__ import annotations

from typing import Annotated

import typer

from aspen.cli._ids import whole_memory_ids
from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    StoreOption,
    from_stdin,
    open_aspen,
    time_of,
)
from aspen.cli._screen import date_of, put, put_json, put_table, say


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(correct)
    app.command()(history)


def correct(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Id of the memory that does not hold any more, or its beginning."),
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='What holds instead; "-" reads it from standard input.')
    ],
    said_at: Annotated[
        str | None,
        typer.Option("--said-at", metavar="TIME", help="Since when, in ISO 8601; UTC without a zone."),
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a text in the place of a memory.

    The old one stays, as its historical version. The new memory takes over speaker, type, stability, importance,
    emotion and tags. In a recall it stands before the old one, which says by what it was corrected. Correcting the
    same again changes nothing.

    \b
    Example:
      aspen correct m_0123456789abcdef0123 "Mara lives in Porto now."

    \b
    With --json: {"memory": {id, text, ...} of what holds now, "corrects": id of the old one}
    """
    moment = time_of(said_at, what="--said-at")
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        (old,) = whole_memory_ids(aspen, [memory_id])
        memory = aspen.correct(old, from_stdin(text), said_at=moment)
    if as_json:
        put_json({"memory": memory, "corrects": old})
        return
    put(memory.id)
    say(f"it holds in place of {old}")


def history(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of any version of a memory, or its beginning.")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all versions of a memory, oldest first. The last one is what holds now.

    \b
    Example:
      aspen history m_0123456789abcdef0123

    \b
    With --json: {"versions": [{id, text, ...}], "current": id of the last one}
    """
    with open_aspen(context, store=store) as aspen:
        versions = aspen.history(*whole_memory_ids(aspen, [memory_id]))
    if as_json:
        put_json({"versions": versions, "current": versions[-1].id})
        return
    rows = [
        [memory.id, date_of(memory.said_at or memory.created_at), "" if memory is versions[-1] else "corrected",
         memory.text]
        for memory in versions
    ]  # fmt: skip
    put_table(["id", "date", "state", "text"], rows)
