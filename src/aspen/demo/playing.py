"""Plays the two parts, each in a process of its own: nothing but the store file passes from one to the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from aspen.config import Config
from aspen.demo.drawing import make_console
from aspen.demo.part import Settings
from aspen.errors import InvalidInput
from aspen.front_door.commands import command
from aspen.wording import size_in_words


def run_demo(
    store: Path | None = None, *, quick: bool = False, keep: bool = True, svg: Path | None = None
) -> int:
    """Play the demo on stdout; returns the exit code: 0, or that of the part that failed.

    Parameters
    ----------
    store:
        Where the store goes; InvalidInput if there is a file already. In a new temporary folder where None.
    quick:
        Fewer turns and questions.
    keep:
        Leave the store there in the end, so that one can go on with it.
    svg:
        Where to save a picture of one screen.
    """
    if svg is not None and not svg.absolute().parent.is_dir():
        raise InvalidInput(f"There is no folder {svg.parent} for the picture.")
    if store is not None and store.expanduser().exists():
        raise InvalidInput(
            f"{store} exists; the demo tells its story on a new store.", hint="Name another path."
        )
    started = time.monotonic()
    console = make_console()
    folder = None if store else Path(tempfile.mkdtemp(prefix="aspen-demo-"))
    path = folder / "memory.db" if folder else Path(store or "").expanduser().absolute()
    settings = Settings(path, quick=quick, svg=svg)
    console.print(Text.assemble("Two processes, one store: ", (str(settings.store), "bold")))
    try:
        for part in ("first", "second"):
            process = subprocess.run(  # noqa: S603 - our own module, with paths as arguments
                [sys.executable, "-m", f"aspen.demo.{part}", *settings.arguments()],
                check=False,
            )
            if process.returncode != 0:
                return process.returncode
            if part == "first":
                kept = sum(file.stat().st_size for file in _files(path))
                console.print()
                console.print(
                    Text(
                        f"That process has ended. What is left of it: {path.name}, {size_in_words(kept)}.",
                        style="bold",
                    )
                )
    finally:
        if not keep:
            _delete(path, folder)
            console.print(Text("The store is deleted again.", style="dim"))
    seconds = time.monotonic() - started
    console.print(Text(f"Played in {seconds // 60:.0f} min {seconds % 60:.0f} s.", style="dim"))
    if keep:
        chat = next_command(path, replace(Config.from_environment(), model="bundled"))
        # One line, however long: it is to be copied.
        console.print(Text.assemble("Go on with: ", (chat, "bold green")), soft_wrap=True)
    return 0


def next_command(store: Path, config: Config) -> str:
    """What goes on with the store, as a shell takes it."""
    beside = Path(sys.executable).with_name("aspen")
    program = str(beside) if shutil.which("aspen") is None and beside.exists() else "aspen"
    return command("chat", store=store, config=config, program=program)


def _files(store: Path) -> list[Path]:
    """The store and what SQLite keeps beside it."""
    files = [store.with_name(store.name + suffix) for suffix in ("", "-wal", "-shm", ".lock")]
    return [file for file in files if file.is_file()]


def _delete(store: Path, folder: Path | None) -> None:
    for file in _files(store):
        file.unlink(missing_ok=True)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
