"""The commands of the program `aspen`, and what an error of a command becomes: one line and an exit code."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from aspen import __version__
from aspen.cli import (
    ask,
    bench,
    browse,
    chat,
    demo,
    maps,
    memories,
    models,
    recall,
    relations,
    replay,
    sample,
    serve,
    traces,
    transfer,
    upkeep,
    versions,
)
from aspen.cli._screen import printable
from aspen.errors import AspenError
from aspen.models import LanguageModel

_EPILOG = """
\b
Exit codes:
  0  done
  1  an unexpected error, or `doctor` or a gate of `bench` found a problem
  2  wrong usage or input that is refused
  3  no memory, trace or conversation of that name
  4  the model, or a package it needs
  5  the store
  6  a trace, or a stored KV fragment, that cannot be used
  7  `replay` could not verify the trace
  8  the memory was changed meanwhile, or corrected already
  130  interrupted (Ctrl-C); the store is sound
  141  the reader of the output went away

\b
Settings from the environment:
  ASPEN_STORE, ASPEN_MODEL, ASPEN_RUNTIME, ASPEN_DEVICE, ASPEN_DTYPE, ASPEN_THREADS, ASPEN_CACHE, ASPEN_STRATEGY,
  ASPEN_KV_CHECK, ASPEN_REINFORCE, ASPEN_ENDPOINT_KEY, ASPEN_LLAMA_LIBRARY
"""

app = typer.Typer(
    name="aspen",
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Command(TyperCommand):
    """A command whose usage line reads "PROMPT" and "ID...", not "{PROMPT}" and "{ID...}..."."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line behind the name of the command."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.removesuffix("...").strip("{}") if "{" in piece else piece for piece in pieces]


for group in (
    demo,
    chat,
    sample,
    ask,
    memories,
    recall,
    browse,
    relations,
    versions,
    traces,
    replay,
    maps,
    transfer,
    serve,
    models,
    upkeep,
    bench,
):
    group.register(app)
for command in (*app.registered_commands, *bench.group.registered_commands):
    command.cls = _Command

# Usage errors have this base in every version of typer; which module it lives in depends on the version.
_CommandLineError: type[Any] = typer.BadParameter.__mro__[2]


def _show_version(value: bool) -> None:  # noqa: FBT001 - called by typer
    if value:
        typer.echo(f"aspen {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def aspen(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Long-term memory for local LLMs that remembers what the model thought.

    \b
    Begin with:
      aspen chat
      aspen remember "My sister Mara moved to Lisbon." --speaker Ann
      aspen recall "Who lives in Portugal?"
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: list[str], *, model: LanguageModel | None, as_json: bool) -> int:
    """Run one command; returns the exit code. An error of the command is reported, Ctrl-C and a closed pipe raised."""
    try:
        code = _run(arguments, model)
        sys.stdout.flush()
    except AspenError as error:
        told = error.diagnostics()
        _report({**told, "message": _as_typed(told["message"], arguments)}, as_json=as_json)
        return error.exit_code
    except _CommandLineError as error:
        _report(_usage_error(error), as_json=as_json)
        return int(error.exit_code)
    return code


def _as_typed(message: str, arguments: Sequence[str]) -> str:
    """A message that begins with the name of a value, as "max_tokens must be ...", with that of the option typed."""
    name, _, rest = message.partition(" ")
    option = f"--{name.replace('_', '-')}"
    typed = any(one.partition("=")[0] == option for one in arguments)
    return f"{option} {rest}" if typed else message


def _usage_error(error: Any) -> dict[str, Any]:
    context = getattr(error, "ctx", None)
    hint = f"See `{context.command_path} --help`." if context is not None else ""
    message = error.format_message().replace(": Value error, ", ": ")
    if not message.endswith((".", "?", "!")):
        message += "."
    if "unexpected extra argument" in message:
        hint = f"A text of several words needs quotes around it. {hint}"
    return {"error": "UsageError", "message": message, "hint": hint, "details": {}}


def _run(arguments: list[str], model: LanguageModel | None) -> int:
    # Not `app()`: it would turn Ctrl-C and a closed pipe into exit codes of its own.
    command = typer.main.get_command(app)
    try:
        with command.make_context("aspen", arguments, obj=model) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    return 0


def _report(diagnostics: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        line = json.dumps(diagnostics, default=str)
    else:
        line = " ".join(printable(f"error: {diagnostics['message']} {diagnostics['hint']}").split())
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)
