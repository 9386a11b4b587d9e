"""Commands on traces: traces, replay."""

from __future__ import annotations

from typing import Annotated

import typer

from aspen.cli._options import (
    ConversationOption,
    DeviceOption,
    JsonOption,
    LimitOption,
    ModelOption,
    StoreOption,
    open_aspen,
)
from aspen.cli._screen import as_data, date_of, put, put_json, put_table

NOT_VERIFIED = 7


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(traces)
    app.command()(replay)


def traces(
    context: typer.Context,
    *,
    conversation: ConversationOption = None,
    limit: LimitOption = 50,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the recorded inferences, newest first.

    \b
    Example:
      aspen traces --conversation family

    \b
    With --json: {"traces": [{"id", "conversation", "created_at", "seed", "level", "size" (bytes)}]}
    """
    with open_aspen(context, store=store) as aspen:
        known = aspen.repository.traces(conversation=conversation, limit=limit)
    if as_json:
        put_json({"traces": known})
        return
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


def replay(
    context: typer.Context,
    *,
    trace_id: Annotated[str, typer.Argument(metavar="TRACE_ID", help="Id of a trace, as `traces` shows it.")],
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recorded inference again and verify it.

    Ends with exit code 0 if tokens and activations are the same bit for bit, and with 7 and the first difference
    if they are not.

    \b
    Example:
      aspen replay t_0123456789abcdef

    \b
    With --json: {"trace_id", "seed", "verdict": "verified", "fingerprint_differs", "tokens_differ" or
      "activations_differ", "verified": bool, "explanation", "fingerprint": [{"field", "recorded", "now"}],
      "tokens": null or {"position", "recorded_id", "recorded_text", "now_id", "now_text"}, "activations": null
      or {"token", "token_text", "layer", "stored"}, "reply"}
    """
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        report = aspen.replay(trace_id)
    if as_json:
        put_json({**as_data(report), "verified": report.verified, "explanation": report.explain()})
    else:
        put(report.explain(), style="green" if report.verified else "red")
    if not report.verified:
        raise typer.Exit(NOT_VERIFIED)
