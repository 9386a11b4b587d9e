"""How the scripts read numbers, and how they end.

What a benchmark refuses is one line and an exit code, as with the program `aspen`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from aspen.benchmarks import output
from aspen.errors import AspenError, InvalidInput


def exit_code(run: Callable[[], None]) -> int:
    """Run a benchmark. What it refuses is one line on standard error and exit code 2, other errors 1."""
    try:
        run()
    except AspenError as error:
        output.note("error: " + " ".join(str(error).split()))
        return 2 if isinstance(error, InvalidInput) else 1
    except KeyboardInterrupt:
        output.note("interrupted: nothing was written")
        return 130
    return 0


def positive(text: str) -> int:
    """A number of the command line, from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)
