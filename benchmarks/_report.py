"""What both benchmarks print and write besides their figures: the machine, the versions, tables, JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aspen.errors import AspenError, InvalidInput

console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
"""For results. Progress and problems go to standard error, so that results can be piped."""
_errors = Console(stderr=True)

_PACKAGES = ("aspen-memory", "numpy", "torch", "transformers", "apsw", "sentence-transformers")


def circumstances(*, title: str) -> dict[str, object]:
    """What a figure means nothing without: command, date, machine, versions."""
    return {
        "benchmark": title,
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, object]:
    """Processor, cores in use, memory (GiB), and how busy the machine is (load average over one minute)."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_end": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the figures; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_output(path: Path | None) -> None:
    """InvalidInput where `path` cannot be written: said before the work, not after it."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(
            f"{path} cannot be written.", hint="Give the path of a file in a folder that exists."
        )


def write_json(path: Path | None, report: Mapping[str, object]) -> None:
    """Write `report`, indented; nothing where there is no path."""
    if path is not None:
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> None:
    """Print a table; the first column is text, the others are figures."""
    drawn = Table()
    for position, column in enumerate(columns):
        drawn.add_column(column, justify="right" if position else "left")
    for row in rows:
        drawn.add_row(*row)
    console.print(f"\n[bold]{title}[/bold]")
    console.print(drawn)
    if caption:
        console.print(caption)


def progress() -> Progress:
    """A progress display on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_errors,
    )


def note(message: str) -> None:
    """A line on standard error."""
    _errors.print(message, markup=False, highlight=False, soft_wrap=True)


def exit_code(run: Callable[[], None]) -> int:
    """Run a benchmark. What it refuses is one line on standard error and exit code 2, other errors 1."""
    try:
        run()
    except AspenError as error:
        note("error: " + " ".join(str(error).split()))
        return 2 if isinstance(error, InvalidInput) else 1
    except KeyboardInterrupt:
        note("interrupted: nothing was written")
        return 130
    return 0
