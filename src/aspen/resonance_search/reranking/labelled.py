"""The labelled texts that ship with Aspen: memories, questions about them, and which memories hold the answers.

They were written for this purpose and are part of no benchmark: chats of friends, chats with an assistant, passages
about invented people and places.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from aspen.activation_db import calibration_text
from aspen.types import MemoryItem

_FIRST_DAY = datetime(2024, 1, 8, 18, tzinfo=UTC)
_BETWEEN_SESSIONS = timedelta(days=17)
_BETWEEN_TURNS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question, and the sources of the memories that hold its answer."""

    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Memories of one store, and questions about them."""

    name: str
    items: tuple[MemoryItem, ...]
    questions: tuple[LabelledQuestion, ...]


def labelled_sets() -> list[LabelledSet]:
    """All sets that ship, in order of their names."""
    folder = files("aspen.resonance_search.reranking") / "data"
    sources = sorted(
        (one for one in folder.iterdir() if one.name.endswith(".jsonl")), key=lambda one: one.name
    )
    return [
        _read(one.name.removesuffix(".jsonl"), one.read_text(encoding="utf-8").splitlines())
        for one in sources
    ]


def labelled_digest() -> str:
    """SHA-256 over names and contents of all sets: a re-ranker that was learned from others is out of date."""
    digest = hashlib.sha256()
    for texts in labelled_sets():
        items = [
            [item.source, item.speaker, str(item.said_at), item.conversation, item.text]
            for item in texts.items
        ]
        questions = [[question.text, question.evidence] for question in texts.questions]
        digest.update(json.dumps([texts.name, items, questions]).encode())
    return digest.hexdigest()


def _read(name: str, lines: list[str]) -> LabelledSet:
    rows = [json.loads(line) for line in lines]
    return LabelledSet(
        name,
        tuple(_items(name, [row for row in rows if "text" in row] or _turns_of_calibration())),
        tuple(
            LabelledQuestion(row["question"], tuple(map(str, row["evidence"])))
            for row in rows
            if "question" in row
        ),
    )


def _turns_of_calibration() -> list[dict[str, Any]]:
    """What a file asks about that has no texts of its own."""
    turns = (turn.partition(": ") for turn in calibration_text()[0])
    return [
        {"turn": number, "session": 0, "speaker": speaker, "text": text}
        for number, (speaker, _, text) in enumerate(turns)
    ]


def _items(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[MemoryItem]:
    for row in rows:
        number, session = row["turn"], row.get("session")
        if session is None:
            yield MemoryItem(row["text"], speaker=row.get("speaker"), source=str(number))
        else:
            said_at = _FIRST_DAY + session * _BETWEEN_SESSIONS + number * _BETWEEN_TURNS
            yield MemoryItem(row["text"], row["speaker"], said_at, name, source=str(number))
