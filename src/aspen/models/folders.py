"""Looking through folders that may be large, unreadable, or linked in circles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_DEPTH = 8
"""Folders within folders that are looked into."""
MAX_ENTRIES = 200_000
"""Most files and folders that are looked at below one folder."""

Tell = Callable[[str], None]
"""Gets a sentence about what could not be read."""


def is_file(path: Path) -> bool:
    """Whether a file is there; one in a folder that is not ours to read is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def entries(folder: Path, *, problem: Tell) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing where there is none. `problem` hears of one that cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        problem(f"{folder} cannot be read: {getattr(error, 'strerror', None) or error}.")
        return []


def gguf_files(folder: Path, *, problem: Tell) -> Iterator[Path]:
    """The files below a folder whose names end in .gguf, in order of path, folder by folder.

    Links are followed, and no folder is looked into twice; hidden ones are left out. `problem` gets a sentence about
    each folder that cannot be read, and where the limits are reached.
    """
    seen: set[tuple[int, int]] = set()
    left = MAX_ENTRIES
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop()
        inner: list[tuple[Path, int]] = []
        for entry in entries(current, problem=problem) if _is_new(current, seen=seen) else []:
            left -= 1
            if left < 0:
                problem(f"{folder} has more than {MAX_ENTRIES:,} entries; the rest is left out.")
                return
            if _is_folder(entry):
                if not entry.name.startswith("."):
                    inner.append((Path(entry.path), depth + 1))
            elif entry.name.lower().endswith(".gguf"):
                yield Path(entry.path)
        if inner and depth == MAX_DEPTH:
            problem(f"{current} lies {MAX_DEPTH} folders deep; those within it are left out.")
        else:
            waiting.extend(reversed(inner))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or to where we may not look
        return False


def _is_new(folder: Path, *, seen: set[tuple[int, int]]) -> bool:
    try:
        state = folder.stat()
    except (OSError, ValueError):
        return True  # listing it says what is wrong
    new = (state.st_dev, state.st_ino) not in seen
    seen.add((state.st_dev, state.st_ino))
    return new
