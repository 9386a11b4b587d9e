"""Where a benchmark's results go: tables on standard output, progress on standard error, JSON in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from aspen.errors import InvalidInput

_WIDTH = 160
"""Characters of a table that is piped: rich would take 80 and break the figures."""


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> None:
    """Print a table; the first column is text, the others are figures."""
    drawn = Table()
    for position, column in enumerate(columns):
        drawn.add_column(
            Text(column), justify="right" if position else "left", no_wrap=not position, overflow="fold"
        )
    for row in rows:
        drawn.add_row(*map(Text, row))
    # Made anew for each use: it then follows sys.stdout, which tests and callers exchange.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)
    console.print(f"\n{title}", style="bold")
    console.print(drawn)
    if caption:
        console.print(caption)


def progress() -> Progress:
    """A progress display on standard error; nothing where that is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def note(message: str) -> None:
    """A line on standard error."""
    Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


def check_output(path: Path | None) -> None:
    """InvalidInput where `path` cannot be written: said before the work, not after it."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InvalidInput(
            f"{path} cannot be written.", hint="Give the path of a file in a folder that exists."
        )


def write_json(path: Path | None, report: Mapping[str, object]) -> None:
    """Write `report`, indented; nothing where there is no path."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.", path=str(path)) from error
