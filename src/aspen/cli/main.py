"""The program `aspen`. It turns errors into exit codes, Ctrl-C too, which may come before the commands are imported."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aspen.cli._exits import INTERRUPTED, PIPE_CLOSED

if TYPE_CHECKING:
    from aspen.models import LanguageModel


def main(arguments: Sequence[str] | None = None, *, model: LanguageModel | None = None) -> int:
    """Run one command; returns the exit code.

    `arguments` are those of the process where None. `model` is a loaded model that takes the place of the one that
    options and environment name.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given and "bench" not in given[:1]  # there it names a file
    _keep_streams_from_failing()
    try:
        with _ended_by_ctrl_c(as_json=as_json) if arguments is None else contextlib.nullcontext():
            from aspen.cli._program import run  # noqa: PLC0415 - Ctrl-C is listened for before
        return run(given, model=model, as_json=as_json)
    except KeyboardInterrupt:
        with contextlib.suppress(BrokenPipeError):
            print(_interrupted(as_json=as_json), file=sys.stderr, flush=True)
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


@contextlib.contextmanager
def _ended_by_ctrl_c(*, as_json: bool) -> Iterator[None]:
    """Ctrl-C ends the process at once, for an import that is interrupted may tell of it at length, or not at all."""

    def end(*_: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"{_interrupted(as_json=as_json)}\n".encode())
        os._exit(INTERRUPTED)  # nothing is open yet

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(*, as_json: bool) -> str:
    message = "Interrupted; what was stored before is kept."
    if not as_json:
        return f"error: {message}"
    return json.dumps({"error": "Interrupted", "message": message, "hint": "", "details": {}})


def _keep_streams_from_failing() -> None:
    """Bytes that are no text come in as surrogates, which are refused with a clear word; text that the terminal
    cannot show goes out as escapes."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
