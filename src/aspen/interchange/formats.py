"""The formats that can be imported, and how a file is told to be of one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.interchange.aspen_jsonl import HEADER, read_export
from aspen.interchange.chat_jsonl import read_chat
from aspen.interchange.lines import Line, opened, read_objects
from aspen.interchange.locomo import read_locomo
from aspen.interchange.plain_jsonl import read_plain
from aspen.interchange.records import Reader, is_relation
from aspen.interchange.smallville import is_memory_stream, nodes_file, read_smallville

_LINES = 50
"""Lines looked at before giving up: the first ones of a file may be bad."""
_START = 4096  # bytes


class Format(StrEnum):
    """A format that can be imported."""

    CHAT = "chat"  # OpenAI-style chat JSONL
    PLAIN = "plain"  # JSONL with a text a line
    LOCOMO = "locomo"  # LoCoMo JSON
    ASPEN = "aspen"  # what `aspen export` writes
    SMALLVILLE = "smallville"  # the memory stream of a generative agent


READERS: Mapping[Format, Reader] = {
    Format.CHAT: read_chat,
    Format.PLAIN: read_plain,
    Format.LOCOMO: read_locomo,
    Format.ASPEN: read_export,
    Format.SMALLVILLE: read_smallville,
}


def detect_format(path: Path) -> Format:
    """The format of a file or folder by its content; InvalidInput where it is none of them."""
    if path.is_dir() and nodes_file(path) is not None:
        return Format.SMALLVILLE
    with opened(path) as file:
        start = file.read(_START).decode("utf-8-sig", errors="replace").lstrip()
    if start.startswith("["):
        return Format.LOCOMO
    if is_memory_stream(start):
        return Format.SMALLVILLE
    relations = False
    for line in islice(read_objects(path), _LINES):
        found = _format_of(line.value) if isinstance(line, Line) else None
        if found is not None:
            return found
        relations = relations or (isinstance(line, Line) and is_relation(line.value))
    if relations:  # an export, which may hold them too, would have begun with its header
        return Format.PLAIN
    raise InvalidInput(
        f"The format of {path} is not one that Aspen knows.",
        hint=f"If it is one, say which format it is: {', '.join(Format)}.",
        path=str(path),
    )


def _format_of(value: Mapping[str, object]) -> Format | None:
    if HEADER in value:
        return Format.ASPEN
    if isinstance(value.get("messages"), list):
        return Format.CHAT
    if "text" in value:
        return Format.PLAIN
    return Format.LOCOMO if isinstance(value.get("conversation"), dict) else None
