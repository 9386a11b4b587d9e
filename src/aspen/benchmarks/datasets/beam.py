"""Chats with an assistant, laid out as BEIR does it: a passage is a turn, and a query asks about one chat.

A turn's metadata tell its chat, who said it (`role`) and, at times, when ("March-15-2024"); those of a query its chat
and its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from aspen.benchmarks.datasets.beir import Fields, Metadata, Passage, read_folder
from aspen.benchmarks.datasets.lines import shown
from aspen.benchmarks.interface import Dataset
from aspen.errors import InvalidInput
from aspen.types import Provenance

_CUTOFFS = (5, 10, 25)
_TIME = "%B-%d-%Y"
_MODEL = "assistant"


def read_beam(folder: Path) -> Dataset:
    """Turns of chats, each chat a conversation; every question is put to its own chat."""
    dataset = read_folder(folder, name="beam", fields=_CHATS, cutoffs=_CUTOFFS)
    _check_chats(dataset, folder)
    return dataset


def _check_chats(dataset: Dataset, folder: Path) -> None:
    """Refuse a question that could not be answered, as its chat or the chat of its evidence is another one."""
    chats = {item.source: item.conversation for item in dataset.items}
    known = set(chats.values())
    for question in dataset.questions:
        asked = f"{folder}: the query {shown(question.text)} is about the chat {shown(question.group)}"
        if question.group not in known:
            raise InvalidInput(f"{asked}, of which the corpus has no turn.", path=str(folder))
        # Of a turn that no memory can hold the chat is not known any more; it stays evidence.
        elsewhere = [
            source for source in question.evidence if chats.get(source, question.group) != question.group
        ]
        if elsewhere:
            raise InvalidInput(
                f"{asked}, but its evidence {min(elsewhere)!r} is not in it.", path=str(folder)
            )


def _item(passage: Passage) -> Mapping[str, object]:
    role = _text(passage.metadata, "role")
    return {
        "speaker": role or None,
        "conversation": _text(passage.metadata, "chat") or None,
        "said_at": _time(passage.metadata.get("time")),
        "provenance": Provenance.GENERATED if role == _MODEL else Provenance.IMPORTED,
    }


def _text(metadata: Metadata, name: str) -> str:
    value = metadata.get(name)
    return value if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    try:
        return datetime.strptime(str(value), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


_CHATS = Fields(
    item=_item,
    kind=lambda metadata: _text(metadata, "type") or "all",
    group=lambda metadata: _text(metadata, "chat"),
)
