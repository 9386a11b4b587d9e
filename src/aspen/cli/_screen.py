"""Printing: results on stdout, everything about them on stderr, and nothing that a memory says runs on a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_SHOWN = frozenset("\n\t\u200c\u200d")  # the joiners hold emoji and Indic words together
_WIDEST = 25
"""Characters of a column beside the last; an id has 22, a time 25."""


def printable(text: str) -> str:
    """`text` without what drives a terminal: control characters, lone surrogates, changes of writing direction."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character in _SHOWN or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else "\ufffd"
        for character in text.replace("\r\n", "\n")
    )


def one_line(text: str, *, most: int | None = None) -> str:
    """`text` on one line, cut at `most` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def date_of(time: datetime | None) -> str:
    """The day, or nothing."""
    return time.date().isoformat() if time else ""


def put(text: str = "", *, style: str = "") -> None:
    """A line of the result, on stdout."""
    _line(_console(stderr=False), text, style=style)


def put_piece(text: str) -> None:
    """A piece of a reply in the making, at once."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def say(text: str, *, style: str = "dim") -> None:
    """A line about the result, on stderr."""
    _line(_console(stderr=True), text, style=style)


def on_terminal() -> bool:
    """Whether results go to a terminal, where tables have lines and colours."""
    return _console(stderr=False).is_terminal


def width() -> int:
    """Columns of the terminal that results go to."""
    return _console(stderr=False).width


def put_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    below: Sequence[str] = (),
) -> None:
    """A table on a terminal; elsewhere tab-separated lines under a line of names. The last column takes the room.

    `numbers` names the columns to align to the right; `below` are lines under the last cell of each row, on a
    terminal only.
    """
    if not on_terminal():
        for row in [columns, *rows]:
            put("\t".join(one_line(cell) for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns[:-1]:
        right = column in numbers
        table.add_column(
            column,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=None if right else _WIDEST,
        )
    table.add_column(columns[-1], overflow="fold", ratio=1)
    for number, row in enumerate(rows):
        cells = [Text(one_line(cell)) for cell in row]
        if below:
            cells[-1].append(f"\n{one_line(below[number])}", style="dim")
        table.add_row(*cells)
    _console(stderr=False).print(table)


def put_json(document: Mapping[str, object]) -> None:
    """One JSON document on stdout. To a terminal it is pure ASCII, which no text in it can drive."""
    text = json.dumps(as_data(document), ensure_ascii=sys.stdout.isatty(), indent=2)
    sys.stdout.write(f"{text}\n")


def as_data(value: Any) -> Any:
    """Plain data for JSON: dataclasses by their fields, times in ISO 8601, enums by value, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_data(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence | set | frozenset):
        return [as_data(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, PurePath) else value


def confirmed(question: str) -> bool:
    """Ask a person; only "y" and "yes" are a yes."""
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def stderr_console() -> Console:
    """The console of progress bars."""
    return _console(stderr=True)


def _line(console: Console, text: str, *, style: str) -> None:
    if console.is_terminal:
        console.print(Text(printable(text), style=style), soft_wrap=True)
    else:  # as it stands: rich would turn tabs into spaces
        console.file.write(f"{printable(text)}\n")


def _console(*, stderr: bool) -> Console:
    # Made anew for each use: it then follows sys.stdout, which tests and callers exchange.
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
