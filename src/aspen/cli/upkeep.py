"""Commands that look after a store: rekey, summarise, doctor."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    StoreOption,
    given_model,
    location_of,
    notices,
    open_aspen,
    settings_for,
)
from aspen.cli._screen import date_of, one_line, put, put_json, put_table, say, stderr_console
from aspen.doctor import Finding, Status, examine
from aspen.engine.closeness import Closeness
from aspen.front_door.summarising import Summary

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "red"}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(rekey)
    app.command()(summarise)
    app.command()(doctor)


def rekey(
    context: typer.Context,
    *,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make all keys anew with the model in use.

    A store that was made with another model can be searched by this one then. May be stopped: until the last key is
    made the store stays as it was, and the same command goes on. Tells before and after how close the store's keys
    come to those of this model: keys of two models are never mixed, however close.

    \b
    Example:
      aspen rekey --model HuggingFaceTB/SmolLM2-360M-Instruct

    \b
    With --json: {"keys": number of keys made, "model": name, "before" and "after": null while the store is new, or
      {"stored", "present": names, "memories": how many were compared, "layers": [{"layer", "mean", "lowest": cosines}],
      "verdict": "close", "related", "different" or "unknown", "reason": why there are no layers,
      "own": whether the keys were this model's already}}
    """
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        total = aspen.repository.stats().memories
        before = aspen.closeness()
        own = before is not None and before.own
        if not own:
            _tell_closeness("before", before, quiet=as_json)
        with Progress(
            TextColumn("re-keying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=stderr_console(),
            disable=as_json or not sys.stderr.isatty(),
        ) as bar:
            task = bar.add_task("re-keying", total=total)
            keys = aspen.rekey(progress=lambda done: bar.update(task, completed=done))
        name, runtime = aspen.model.info.name, aspen.model.fingerprint.runtime
        after = before if own and not keys else aspen.closeness()
    if as_json:
        put_json({"keys": keys, "model": name, "before": _data_of(before), "after": _data_of(after)})
    elif own and not keys:
        put(f"nothing to do: the store's keys are those of {name} in {runtime} already")
    else:
        put(f"{keys:,} keys made with {name}; the store belongs to it now")
        _tell_closeness("after", after, quiet=as_json)


def _tell_closeness(when: str, closeness: Closeness | None, *, quiet: bool) -> None:
    if closeness is not None and not quiet:
        say(f"{when}: keys of {closeness.stored}. {closeness.sentence()}")


def _data_of(closeness: Closeness | None) -> dict[str, object] | None:
    return None if closeness is None else closeness.as_data()


def summarise(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Quote the examples; the model writes no sentence.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="Most memories to look at, the newest.")
    ] = 5000,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find patterns that recur, and keep a memory of each.

    Memories that people said in several conversations, or on several days, and that are alike. Doing it again changes
    only the patterns whose examples changed.

    \b
    Example:
      aspen summarise --dry-run

    \b
    With --json: {"summaries": [{"change": "new", "changed", "unchanged" or "retired", "memory": null or {id, text,
      ...}, "examples": [ids], "occasions", "last"}], "dry_run": bool}
    """
    with (
        open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen,
        Progress(
            TextColumn("summarising"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=stderr_console(),
            disable=as_json or not sys.stderr.isatty(),
        ) as bar,
    ):
        task = bar.add_task("summarising", total=None)
        summaries = aspen.summarise(
            use_model=not no_model,
            limit=limit,
            dry_run=dry_run,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        put_json({"summaries": summaries, "dry_run": dry_run})
        return
    names = ["change", "seen", "last", "id", "pattern"]
    put_table(names, [_row(summary) for summary in summaries], numbers=["seen"])
    if dry_run:
        say("nothing was changed")


def _row(summary: Summary) -> list[str]:
    memory = summary.memory
    text = memory.text if memory else f"{len(summary.examples)} memories, as {summary.examples[0]}"
    return [
        summary.change.value,
        str(summary.occasions),
        date_of(summary.last),
        memory.id if memory else "",
        one_line(text),
    ]


def doctor(
    context: typer.Context,
    *,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Load the model as well, hold it against the store's keys, and read all traces."
        ),
    ] = False,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong, and how to put it right.

    Looks at versions, model, store and traces. Ends with exit code 1 if there is a problem; warnings do not count.

    \b
    Example:
      aspen doctor --deep

    \b
    With --json: {"findings": [{"name", "status": "ok", "warning" or "problem", "what", "fix"}], "problems": number}
    """
    config = settings_for(model=model, device=device)
    findings = examine(
        config.store if store is None else location_of(store),
        config=config,
        deep=deep,
        model=given_model(context),
        notify=notices(quiet=as_json),
    )
    problems = sum(finding.status is Status.PROBLEM for finding in findings)
    if as_json:
        put_json({"findings": findings, "problems": problems})
    else:
        for finding in findings:
            _tell(finding)
    if problems:
        raise typer.Exit(1)


def _tell(finding: Finding) -> None:
    put(f"{finding.status.value:<8} {finding.name}: {finding.what}", style=_STYLES[finding.status])
    if finding.fix:
        put(f"         -> {finding.fix}")
