"""Small pieces the screens are made of: text that streams, wraps and stays plain where there is no terminal."""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

WIDEST = 96
_BARS = "▁▂▃▄▅▆▇█"
_REFRESH = 0.08
"""Seconds between two pictures of a reply in the making: drawing takes time from the model."""


def make_console() -> Console:
    """The console of the demo, on stdout; plain text where that is no terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDEST)
    return console


def clean(text: str) -> Text:
    """What a model or a person said, without what could drive a terminal."""
    shown = (c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return Text("".join(shown))


def one_line(text: str, *, most: int) -> str:
    """`text` on one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def marked(text: str, pattern: str) -> Text:
    """`text` with what matches `pattern` in bold green."""
    shown = clean(text)
    for found in re.finditer(pattern, shown.plain, re.IGNORECASE):
        shown.stylize("bold green", *found.span())
    return shown


def sparkline(values: Sequence[float]) -> str:
    """One bar per value > 0, from the smallest to the largest on a logarithmic scale."""
    heights = [math.log(max(value, 1e-9)) for value in values]
    low = min(heights)
    step = (max(heights) - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((height - low) / step)] for height in heights)


def meter(share: float, *, width: int) -> str:
    """A bar of at most `width` characters for a share in [0, 1]; any share above 0 shows."""
    return "█" * max(round(share * width), 1 if share > 0 else 0)


def process_line(name: str) -> str:
    """Which process this is, and when it began."""
    return f"{name}: process {os.getpid()}, started {time.strftime('%H:%M:%S')}"


class Streaming:
    """Redraws one renderable while text comes in. Where there is no terminal it is printed once, at the end."""

    def __init__(self, console: Console, draw: Callable[[], RenderableType]) -> None:
        self._console = console
        self._draw = draw
        self._live = Live(console=console, auto_refresh=False, get_renderable=draw)
        self._drawn = 0.0

    def __enter__(self) -> Streaming:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.refresh()
            self._live.stop()
        else:
            self._console.print(self._draw())

    def update(self) -> None:
        """Something changed."""
        now = time.monotonic()
        if self._console.is_terminal and now - self._drawn > _REFRESH:
            self._drawn = now
            self._live.refresh()
