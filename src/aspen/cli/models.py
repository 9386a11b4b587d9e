"""The command that lists the models on this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from aspen.cli._options import JsonOption
from aspen.cli._screen import on_terminal, put_json, put_table, say
from aspen.models import Discovery, FoundModel, find_models
from aspen.wording import size_in_words


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(models)


def models(
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDER", help="More folders to look through, or .gguf files."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the GGUF models that are on this machine already.

    Those that Ollama, LM Studio, llama.cpp and the Hugging Face hub downloaded, and those in the folders you name: what
    to type at --model, and whether Aspen can run it. Nothing is loaded. OLLAMA_MODELS, LLAMA_CACHE, HF_HUB_CACHE and
    HF_HOME name other folders, as they do for these programs.

    \b
    Example:
      aspen models ~/models

    \b
    With --json: {"models": [{"name", "path", "where", "supported", "why_not", "architecture", "size" (bytes),
      "quantisation", "context_length" (tokens)}], "looked_in": [folders], "not_there": [folders],
      "problems": [sentences]}
    """
    found = find_models([Path(folder).expanduser() for folder in folders or ()])
    if as_json:
        put_json({name: getattr(found, name) for name in ("models", "looked_in", "not_there", "problems")})
        return
    for problem in found.problems:
        say(problem, style="yellow")
    if found.models:
        _put(found.models)
    _teach(found)


def _put(models: tuple[FoundModel, ...]) -> None:
    columns = ["architecture", "quantisation", "size", "context", "usable", "name"]
    rows = [[*_figures(model), model.name] for model in models]
    if on_terminal():
        below = [" · ".join(filter(None, [model.where, model.why_not])) for model in models]
        put_table(columns, rows, numbers=["size", "context"], below=below)
    else:
        columns += ["where", "why_not"]
        rows = [[*row, model.where, model.why_not] for row, model in zip(rows, models, strict=True)]
        put_table(columns, rows)


def _figures(model: FoundModel) -> list[str]:
    return [
        model.architecture or "",
        model.quantisation or "",
        "" if model.size is None else size_in_words(model.size),
        "" if model.context_length is None else f"{model.context_length:,}",
        "yes" if model.supported else "no",
    ]


def _teach(found: Discovery) -> None:
    """How to use what is there, or where something could come from."""
    usable = [model for model in found.models if model.supported]
    if usable:
        say(f"use one: aspen chat --model {shlex.quote(usable[-1].name)}")
    if any(model.where != "Aspen" for model in found.models):
        return
    looked = ", ".join(map(str, [*found.looked_in, *found.not_there])) or "no folder"
    say(f"no other GGUF file was found; looked in {looked}")
    say("name the folder that has yours, aspen models FOLDER, or get one: ollama pull llama3.2:1b")
