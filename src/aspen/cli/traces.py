"""The command `traces`."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from aspen.cli._options import (
    ConversationOption,
    JsonOption,
    LimitOption,
    SeedFilterOption,
    StoreOption,
    open_aspen,
)
from aspen.cli._screen import as_data, date_of, put_json, put_table
from aspen.repository import TraceInfo
from aspen.turns import alternative_to


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(traces)


def traces(
    context: typer.Context,
    *,
    conversation: ConversationOption = None,
    seed: SeedFilterOption = None,
    limit: LimitOption = 50,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the recorded inferences, newest first.

    What `aspen sample` did not choose has the id of the chosen one with a number behind it.

    \b
    Examples:
      aspen traces --conversation family
      aspen traces --seed 7

    \b
    With --json: {"traces": [{"id", "conversation", "created_at", "seed", "level", "size" (bytes),
      "alternative_to": id of the chosen trace, or null}]}
    """
    with open_aspen(context, store=store) as aspen:
        known = aspen.repository.traces(conversation=conversation, seed=seed, limit=limit)
    if as_json:
        put_json({"traces": [trace_data(trace) for trace in known]})
    else:
        put_traces(known)


def trace_data(trace: TraceInfo) -> dict[str, object]:
    """What is known of a trace, as plain data for JSON."""
    return {**as_data(trace), "alternative_to": alternative_to(trace.id)}


def put_traces(known: Sequence[TraceInfo]) -> None:
    """A table with a row for each trace."""
    rows = [
        [
            trace.id,
            date_of(trace.created_at),
            trace.level,
            str(trace.size),
            str(trace.seed),
            trace.conversation or "",
        ]
        for trace in known
    ]
    put_table(["id", "date", "level", "bytes", "seed", "conversation"], rows, numbers=["bytes", "seed"])
