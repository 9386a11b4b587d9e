"""Commands that move memories: import, export, backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from aspen.cli._options import (
    ConversationOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StoreOption,
    exists,
    open_aspen,
)
from aspen.cli._screen import as_data, put, put_json, say, stderr_console
from aspen.errors import InvalidInput
from aspen.interchange import Format, ImportProgress, ImportReport, export_memories, import_file

_SHOWN_PROBLEMS = 20
_UNITS = {Format.LOCOMO: "turn", Format.SMALLVILLE: "record"}
"""What the numbers of problems count, where it is not lines."""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("import")(import_memories)
    app.command("export")(export)
    app.command()(backup)


def import_memories(
    context: typer.Context,
    *,
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="The file to read, or the folder of an agent's memory stream."),
    ],
    file_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="chat: OpenAI-style JSONL; plain: JSONL with a memory or relation a line; locomo; aspen: an export; "
            "smallville: a generative agent's memory stream. Told by the content where it is not given.",
        ),
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(
            "--conversation", "-c", metavar="NAME", help="Conversation of the records that name none."
        ),
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remember what a file holds. May be stopped: the same command goes on where it was.

    Records that cannot be read are reported with their number, and the others kept. Importing a file twice adds
    nothing. Lines {"relation": "supports", "from": ID, "to": ID, "weight": 0.8} relate memories of the file, by their
    "id", or stored ones; a relation that is there takes the weight of the file.

    \b
    Examples:
      aspen import chats.jsonl
      aspen import notes.jsonl --format plain --conversation notes
      aspen import "Klaus Mueller/bootstrap_memory"

    \b
    With --json: {"format", "read", "stored", "already_there", "left_out", "relations", "relations_stored", "bad",
      "problems": [{"number", "reason"}]}
    """
    seen = ImportProgress(0.0, 0, 0, 0)
    bar = Progress(
        TextColumn("importing"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
        console=stderr_console(),
        disable=as_json or not sys.stderr.isatty(),
    )

    def progress(now: ImportProgress) -> None:
        nonlocal seen
        seen = now
        bar.update(task, completed=now.done, counts=_counts(now))

    with (
        open_aspen(context, store=store, model=model, device=device, create=True, quiet=as_json) as aspen,
        bar,
    ):
        task = bar.add_task("importing", total=1.0, counts="")
        try:
            report = import_file(
                aspen, path, format=file_format, conversation=conversation, progress=progress
            )
        except KeyboardInterrupt:
            if not as_json:
                say(f"Stopped with {_counts(seen)}. The same command goes on from here.", style="yellow")
            raise
    if as_json:
        put_json(as_data(report))
    else:
        _tell(report)


def _counts(now: ImportProgress) -> str:
    relations = f", {now.relations:,} relations" if now.relations else ""
    return f"{now.stored:,} stored{relations}"


def _tell(report: ImportReport) -> None:
    unit = _UNITS.get(report.format, "line")
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        say(f"{unit} {problem.number}: {problem.reason}", style="yellow")
    if report.bad > _SHOWN_PROBLEMS:
        say(f"... and {report.bad - _SHOWN_PROBLEMS:,} more (--json names up to 1,000)", style="yellow")
    put(f"{report.stored:,} stored, {report.already_there:,} already there, {report.bad:,} not readable")
    if report.relations:
        known = report.relations - report.relations_stored
        put(f"{report.relations_stored:,} relations stored, {known:,} already there")
    if report.left_out:
        say(f"{report.left_out:,} left out: system prompts, and messages without text")


def export(
    context: typer.Context,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help='The file to write. Default: "-", standard output.',
            show_default=False,
        ),
    ] = "-",
    conversation: ConversationOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write memories and their relations as JSONL, oldest first. `aspen import` makes the same of it.

    Traces, keys, and how often memories were used are not in it: `backup` copies those.

    \b
    Examples:
      aspen export --output memories.jsonl
      aspen export --conversation pets | gzip > pets.jsonl.gz

    \b
    With --json (and a file): {"memories": number written, "relations": number written, "path"}
    """
    with open_aspen(context, store=store) as aspen:
        if output == "-":
            export_memories(aspen, sys.stdout, conversation=conversation)
            return
        written = export_memories(aspen, output, conversation=conversation)
    if as_json:
        put_json({**as_data(written), "path": output})
    else:
        relations = f" and {written.relations:,} relations" if written.relations else ""
        say(f"{written.memories:,} memories{relations} written to {output}", style="")


def backup(
    context: typer.Context,
    *,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.")],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace a file that is there, such as an older copy.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole store to a file, traces and keys too.

    The copy is one moment of the store, whole or not at all; other programs may go on using the store. It is a store
    itself: name it with --store.

    \b
    Example:
      aspen backup memory-2026-05-02.db

    \b
    With --json: {"path", "bytes": size of the copy}
    """
    with open_aspen(context, store=store) as aspen:
        if exists(path) and not force:
            raise InvalidInput(
                f"{path} is there already.",
                hint="Give another path, or --force to replace it.",
                path=str(path),
            )
        aspen.repository.backup(str(path))
    size = path.expanduser().stat().st_size
    if as_json:
        put_json({"path": str(path), "bytes": size})
    else:
        say(f"copied to {path}, {size:,} bytes", style="")
