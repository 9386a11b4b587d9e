"""Reads the parts of data sets, and says of a bad one where it is bad and what was expected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.interchange import Problem
from aspen.interchange.lines import opened, read_objects


def refused(path: Path, number: int, reason: str, *, expected: str) -> InvalidInput:
    """The error for a line that is not what it should be; `number` from 1."""
    return InvalidInput(
        f"{path}, line {number}: {reason}.", hint=f"Expected {expected}.", path=str(path), line=number
    )


def json_lines(path: Path, *, expected: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Number and object of each line of a JSONL file. A bad line is an error: figures on half a file would mislead."""
    for line in read_objects(path):
        if isinstance(line, Problem):
            raise refused(path, line.number, line.reason, expected=expected)
        yield line.number, line.value


def table_lines(path: Path, *, fields: int, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line of a file with tabs; blank lines are passed over."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise refused(path, number, "it is not UTF-8", expected=expected) from error
            if not text.strip():
                continue
            parts = text.split("\t")
            if len(parts) != fields:
                raise refused(path, number, f"{len(parts)} fields, not {fields}", expected=expected)
            yield number, parts


def text_in(value: object, *, path: Path, number: int, name: str, expected: str) -> str:
    """A field that has to be text, with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise refused(path, number, f"{name} is {shown(value)}, not text", expected=expected)
    return value


def mapping_in(value: object) -> dict[str, object]:
    """A field that may be an object; an empty one where it is not."""
    return value if isinstance(value, dict) else {}


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex: tells later on what was measured."""
    with opened(path) as file:
        return hashlib.sha256(file.read()).hexdigest()


def shown(value: object) -> str:
    """A value for an error message: short, in ASCII, on one line."""
    text = ascii(value)
    return "missing" if value is None else text if len(text) <= 40 else f"{text[:40]}..."
