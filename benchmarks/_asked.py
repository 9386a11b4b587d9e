"""Questions with their answers: LoCoMo's, and a set of solution patterns that is part of the benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from aspen.benchmarks.datasets.locomo import KINDS, read_locomo_set
from aspen.errors import InvalidInput
from aspen.types import MemoryItem

_SOLUTIONS = Path(__file__).with_name("solutions.json")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the right answer, the sources of the memories that hold it, and the `group`: whose store it is."""

    text: str
    answer: str
    evidence: frozenset[str]
    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class Episode:
    """A problem that was solved once, in a conversation of its own: what the user says, message after message."""

    conversation: str
    said: tuple[str, ...]


def locomo_questions(path: Path, *, count: int) -> tuple[dict[str, list[MemoryItem]], list[Asked]]:
    """The turns of each conversation, and `count` answered questions, from all conversations in turn.

    Questions that were falsified (category 5) are left out. Within a conversation they are spread evenly.
    """
    items: dict[str, list[MemoryItem]] = {}
    for item in read_locomo_set(path).items:
        items.setdefault(str(item.conversation), []).append(item)
    by_group = [list(_answered(sample)) for sample in json.loads(path.read_text(encoding="utf-8"))]
    each = -(-count // max(len(by_group), 1))
    spread = [_spread(questions, each) for questions in by_group]
    asked = [one for turn in zip_longest(*spread) for one in turn if one is not None][:count]
    if not asked:
        raise InvalidInput(f"{path} has no question with an answer and its evidence.", path=str(path))
    return items, asked


def _answered(sample: dict[str, object]) -> Iterator[Asked]:
    name, entries = str(sample["sample_id"]), sample["qa"]
    for entry in entries if isinstance(entries, list) else []:
        evidence = frozenset(one for one in entry.get("evidence", ()) if isinstance(one, str))
        if "answer" in entry and entry["category"] != 5 and evidence:
            yield Asked(
                entry["question"], str(entry["answer"]), evidence, KINDS[int(entry["category"])], name
            )


def _spread(questions: Sequence[Asked], count: int) -> list[Asked]:
    """`count` of them, at even distances."""
    if count >= len(questions):
        return list(questions)
    return [questions[i * len(questions) // count] for i in range(count)]


def solutions() -> tuple[list[Episode], list[Asked]]:
    """Problems that were solved several times in the same way, and questions of the same kind."""
    patterns = json.loads(_SOLUTIONS.read_text(encoding="utf-8"))
    episodes = [
        Episode(f"{pattern['name']} {number}", tuple(said))
        for pattern in patterns
        for number, said in enumerate(pattern["episodes"], start=1)
    ]
    asked = [
        Asked(question, pattern["answer"], frozenset(), "solution pattern", "solutions")
        for pattern in patterns
        for question in pattern["questions"]
    ]
    return episodes, asked
