"""What both processes of the demo share: their arguments, their model, their exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from aspen.aspen import Aspen
from aspen.demo.drawing import process_line
from aspen.errors import AspenError

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Settings:
    """How a part is played. `svg` is where a picture of one screen goes."""

    store: Path
    quick: bool = False
    svg: Path | None = None

    def arguments(self) -> list[str]:
        """As `from_arguments` reads them."""
        svg = ["--svg", str(self.svg)] if self.svg else []
        return ["--store", str(self.store), *(["--quick"] if self.quick else []), *svg]

    @classmethod
    def from_arguments(cls) -> Settings:
        """The settings of this process."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--store", type=Path, required=True)
        parser.add_argument("--quick", action="store_true")
        parser.add_argument("--svg", type=Path)
        given = parser.parse_args()
        return cls(given.store, given.quick, given.svg)


def run_part(tell: Callable[[Aspen, Console, Settings], int], console: Console, *, name: str) -> int:
    """Open the store with the bundled model and tell a part of the story; returns the exit code."""
    settings = Settings.from_arguments()
    console.rule(Text(process_line(name), style="bold cyan"), style="cyan")
    try:
        with Aspen.open(settings.store, model="bundled", notify=lambda text: _notice(console, text)) as aspen:
            with console.status(Text("loading the model")):
                model = aspen.model
            print_model = (
                f"{model.info.name}: {model.info.n_layers} blocks, width {model.info.width}, "
                f"{model.fingerprint.dtype} on {model.fingerprint.device}, {model.fingerprint.threads} threads"
            )
            _notice(console, print_model)
            return tell(aspen, console, settings)
    except AspenError as error:
        print(f"error: {error.message} {error.hint}".strip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _notice(console: Console, text: str) -> None:
    console.print(Text(text, style="dim"))
