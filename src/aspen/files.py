"""Writing a file so that a reader never sees a part of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """The path of an empty file beside `path`, to be written in the block; it is renamed to `path` at its end.

    The file is for its owner only. Nothing is left of it where the block raises, and what was at `path` stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("r+b") as file:
            os.fsync(file.fileno())  # or the name could outlive a loss of power, and the contents not
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
