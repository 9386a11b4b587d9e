"""Reads a JSONL file line by line, and says which lines are none."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aspen.errors import InvalidInput
from aspen.interchange.records import Problem

MAX_LINE = 64 * 1024 * 1024
"""Longest line that is read, in bytes: a line has to be held in memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """The JSON object of one line. `number` from 1; `done` is the share of the file read, in [0, 1]."""

    number: int
    value: dict[str, object]
    done: float


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading. InvalidInput where it is not there, empty, no file, or may not be read."""
    try:
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder.", hint="Give the path of a file.", path=str(path))
        if path.exists() and not path.is_file():
            raise InvalidInput(
                f"{path} is not a regular file.", hint="Write its contents to a file first.", path=str(path)
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise InvalidInput(f"{path} is empty.", path=str(path))
            file.seek(0)
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(
            f"{path} cannot be read: {reason}.", hint="Check the path.", path=str(path)
        ) from error


def read_objects(path: Path) -> Iterator[Line | Problem]:
    """The lines of a file, one JSON object each. Blank lines are passed over, a byte order mark is ignored."""
    with opened(path) as file:
        size = path.stat().st_size
        number, position = 0, 0
        while line := file.readline(MAX_LINE):
            number += 1
            position += len(line)
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                position += _skip_line(file)
                yield Problem(number, f"the line is longer than {MAX_LINE:,} bytes")
                continue
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                yield _parsed(line, number=number, done=min(position / size, 1.0))


def _parsed(line: bytes, *, number: int, done: float) -> Line | Problem:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Problem(number, f"byte {error.start} of the line is not UTF-8")
    except json.JSONDecodeError as error:
        return Problem(number, f"not JSON: {error.msg} at character {error.pos}")
    except (ValueError, RecursionError) as error:  # an integer of over 4,300 digits, or nested too deeply
        return Problem(number, f"not JSON that can be read: {error}")
    if not isinstance(value, dict):
        return Problem(number, f"expected a JSON object, got {type(value).__name__}")
    return Line(number, value, done)


def _skip_line(file: BinaryIO) -> int:
    skipped = 0
    while rest := file.readline(MAX_LINE):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped
