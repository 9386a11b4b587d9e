"""The command `replay`: one recorded inference, one with a small change, or a whole conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from aspen.aspen import Aspen
from aspen.cli._divergence import put_difference
from aspen.cli._ids import whole_trace_id
from aspen.cli._options import DeviceOption, JsonOption, ModelOption, StoreOption, open_aspen
from aspen.cli._screen import as_data, put, put_json, put_table, say, stderr_console
from aspen.errors import InvalidInput
from aspen.memory_injector import StrategyName
from aspen.plotting import check_plotting
from aspen.seed_manager import Difference, ReplayReport, draw_heat_map

NOT_VERIFIED = 7


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(replay)


def replay(
    context: typer.Context,
    *,
    trace_id: Annotated[
        str | None,
        typer.Argument(metavar="TRACE_ID", help="Id of a trace, as `traces` shows it, or its beginning."),
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option("--conversation", "-c", metavar="NAME", help="Verify every turn of this one, in order."),
    ] = None,
    edit: Annotated[
        str | None, typer.Option("--edit", metavar="TEXT", help="What if the user had said this instead.")
    ] = None,
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help="What if this memory had stood in the note, one a line."),
    ] = None,
    no_note: Annotated[
        bool, typer.Option("--no-note", help="What if there had been no memory note.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="What if the sampler had had this seed.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", metavar="T", help="What if the sampler had had this temperature."),
    ] = None,
    strategy: Annotated[
        StrategyName | None,
        typer.Option("--strategy", help="What if memories had been fed back in this way; recalled anew."),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png", metavar="FILE", help="Draw the heat map of an edited run here (.png, .svg, .pdf)."
        ),
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recorded inference again: verify or change it.

    Without a change, or with --conversation, it ends with exit code 0 if tokens and activations are the same bit for
    bit, and with 7 and the first difference if they are not. With a change it runs the recorded inference and the
    edited one, and shows where tokens and activations part; an edited run is not stored.

    \b
    Examples:
      aspen replay t_0123456789abcdef
      aspen replay t_0123456789abcdef --edit "Where does my brother live?"
      aspen replay t_0123456789abcdef --no-note --png heat.png
      aspen replay --conversation family

    \b
    With --json: {"trace_id", "seed", "verdict": "verified", "fingerprint_differs", "tokens_differ" or
      "activations_differ", "verified": bool, "explanation", "fingerprint": [{"field", "recorded", "now"}],
      "tokens": null or {"position", "recorded_id", "recorded_text", "now_id", "now_text"}, "activations": null
      or {"token", "token_text", "layer", "stored"}, "reply"}; with --conversation {"conversation", "turns",
      "verified": number, "reports": [as above]}; with a change {"trace_id", "changed": [words], "faithful": bool,
      "explanation", "before" and "after": {"seed", "sampler", "reply", "prompt_tokens", "finish_reason"}, "tokens":
      [{"before", "before_text", "after", "after_text", "same", "in_prompt"}], "first": place in tokens or null,
      "divergence": {"before": [positions], "after": [positions], "texts", "by_layer": [mean], "rounding",
      "distances": [[of each token] of each layer]}}
    """
    if no_note and note is not None:
        raise InvalidInput("--note and --no-note exclude each other.")
    if (trace_id is None) == (conversation is None):
        raise InvalidInput("Name either a trace or a --conversation.", hint="`aspen traces` lists both.")
    given = (edit, "" if no_note else note, seed, temperature, strategy)
    edited = any(one is not None for one in given)
    if (edited and conversation is not None) or (png is not None and not edited):
        raise InvalidInput(
            "--edit, --note, --seed, --temperature, --strategy and --png are for a change to one trace.",
            hint="Name a trace and one change.",
        )
    if png is not None:
        check_plotting(png, option="--png")
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        if conversation is not None:
            _replay_conversation(aspen, conversation, as_json=as_json)
        elif trace_id is not None and not edited:
            _verify(aspen, whole_trace_id(aspen, trace_id), as_json=as_json)
        elif trace_id is not None:
            difference = aspen.what_if(
                whole_trace_id(aspen, trace_id),
                message=edit,
                note="" if no_note else note,
                seed=seed,
                temperature=temperature,
                strategy=strategy,
            )
            _show(difference, png=png, as_json=as_json)


def _verify(aspen: Aspen, trace_id: str, *, as_json: bool) -> None:
    report = aspen.replay(trace_id)
    if as_json:
        put_json(_report_data(report))
    else:
        put(report.explain(), style="green" if report.verified else "red")
    if not report.verified:
        raise typer.Exit(NOT_VERIFIED)


def _replay_conversation(aspen: Aspen, conversation: str, *, as_json: bool) -> None:
    # With --json only errors go to stderr.
    with Progress(console=stderr_console(), transient=True, disable=as_json) as shown:
        task = shown.add_task(f"replaying {conversation}", total=None)
        reports = aspen.replay_conversation(
            conversation, progress=lambda done, of: shown.update(task, completed=done, total=of)
        )
    verified = sum(report.verified for report in reports)
    if as_json:
        put_json(
            {
                "conversation": conversation,
                "turns": len(reports),
                "verified": verified,
                "reports": [_report_data(report) for report in reports],
            }
        )
    else:
        rows = [
            [str(turn), report.trace_id, str(report.seed), report.verdict.value, report.explain()]
            for turn, report in enumerate(reports, start=1)
        ]
        put_table(["turn", "trace", "seed", "verdict", "finding"], rows, numbers=["turn", "seed"])
        say(f"{verified} of {len(reports)} verified", style="green" if verified == len(reports) else "red")
    if verified < len(reports):
        raise typer.Exit(NOT_VERIFIED)


def _show(difference: Difference, *, png: Path | None, as_json: bool) -> None:
    if png is not None:
        draw_heat_map(png, difference)
    if as_json:
        put_json(difference.data())
        return
    put_difference(difference)
    if png is not None:
        say(f"heat map drawn to {png}")


def _report_data(report: ReplayReport) -> dict[str, object]:
    return {**as_data(report), "verified": report.verified, "explanation": report.explain()}
