"""What the recall agent says to a model: texts in files, and the sentence that asks for a call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def base() -> str:
    """Who the model is, and that memories are data."""
    return _text("memory-base.txt")


@cache
def recall_sections() -> Mapping[str, str]:
    """The steps of each orchestration by its name, how to "answer", and when to "write"."""
    sections: dict[str, str] = {}
    for part in _text("memory-recall.txt").split("== ")[1:]:
        name, _, body = part.partition(" ==\n")
        sections[name] = body.strip()
    return sections


def ask_for(tool: str, arguments: Mapping[str, Any]) -> str:
    """ "Call search_memories with query: Where does my sister live?" """
    told = (f"{name}: {_told(value)}" for name, value in arguments.items())
    return f"Call {tool} with {'; '.join(told)}"


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8").strip()
