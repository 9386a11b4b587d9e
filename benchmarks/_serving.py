"""`aspen serve` in a process of its own, as people run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aspen.errors import AspenError

_END_SECONDS = 120.0


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """The address of a server for this store; it was told to end, and has ended by itself, when the context is left."""
    arguments = ["serve", "--port", "0", "--rate", "100000", "--store", str(store)]
    program = [sys.executable, "-m", "aspen.cli", *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        url = (server.stdout.readline() if server.stdout else "").strip()
        if not url:
            raise AspenError("`aspen serve` did not start.", hint="What it printed says why.")
        try:
            yield url
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=_END_SECONDS)
    if code:
        raise AspenError(f"`aspen serve` ended with {code}.")
