"""The character store that ships, in any repository, and questions to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from aspen import Aspen
from aspen.interchange import import_file

STORE = Path(__file__).parents[2] / "src" / "aspen" / "demo" / "creator.jsonl"


@dataclass(frozen=True)
class Asked:
    """A question, and the memory that must be among the first five, by its name in the file."""

    kind: str
    question: str
    expected: str
    why: str

    def __str__(self) -> str:
        return self.expected


QUESTIONS = [Asked(**row) for row in json.loads((Path(__file__).parent / "creator_queries.json").read_text())]
FIRST = 5


def fill(aspen: Aspen) -> None:
    """Remember the memories and relations of the file."""
    report = import_file(aspen, STORE)
    assert report.bad == 0, report.problems


def first(aspen: Aspen, question: str, **options: object) -> list[str]:
    """The names of the first five hits."""
    hits = aspen.recall(question, limit=FIRST, **options).hits  # type: ignore[arg-type]
    return [hit.memory.source or "" for hit in hits]
