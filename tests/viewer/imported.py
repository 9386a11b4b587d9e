"""A file of many memories to import: varied sentences of all types, with tags, days and relations between them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from aspen.types import MemoryType, RelationType

_WHO = ("Ann", "Bo", "Mara", "my sister", "the neighbour", "our teacher", "a friend", "the baker")
_DID = (
    "painted",
    "lost",
    "mended",
    "sold",
    "found",
    "planted",
    "drew",
    "wrote about",
    "talked about",
    "forgot",
)
_WHAT = (
    "the boat",
    "an old clock",
    "a blue chair",
    "the garden",
    "three letters",
    "a map",
    "the piano",
    "a cat",
)
_WHERE = (
    "in Lisbon",
    "by the harbour",
    "at home",
    "in the attic",
    "near the mill",
    "on the ferry",
    "in Porto",
)
_WHEN = ("in spring", "at night", "after work", "before the storm", "on Monday", "in May", "last year")
_TAGS = ("home", "work", "travel", "art", "family", "food")
_SHARES = {
    MemoryType.SELF: 1,
    MemoryType.BELIEF: 4,
    MemoryType.PATTERN: 5,
    MemoryType.SEMANTIC: 25,
    MemoryType.EPISODIC: 65,
}
_RELATIONS = (RelationType.SUPPORTS, RelationType.CAUSES, RelationType.SIMILAR_TO, RelationType.EXAMPLE_OF)
_PER_MEMORY = 3  # relations
_STEEPNESS = 0.5  # of the power law by which memories have relations: few have very many
_CONVERSATION = 500  # memories
_START = datetime(2024, 1, 1, 9, tzinfo=UTC)


def write(path: Path, *, count: int, seed: int = 7) -> Path:
    """Write `count` memories and about three times as many relations as plain JSON lines; the same for equal seeds."""
    with path.open("w", encoding="utf-8") as file:
        for line in _lines(count, random.Random(seed)):
            file.write(json.dumps(line) + "\n")
    return path


def _lines(count: int, chance: random.Random) -> Iterator[dict[str, object]]:
    kinds = chance.choices([kind.value for kind in _SHARES], weights=list(_SHARES.values()), k=count)
    for number, kind in enumerate(kinds):
        words = [chance.choice(part) for part in (_WHO, _DID, _WHAT, _WHERE, _WHEN)]
        yield {
            "id": f"n{number}",
            "text": f"{' '.join(words)}, note {number}.",
            "speaker": chance.choice(("Ann", "Bo")),
            "said_at": (_START + timedelta(minutes=40 * number)).isoformat(),
            "conversation": f"notes {number // _CONVERSATION}",
            "type": kind,
            "importance": round(chance.random(), 2),
            "tags": chance.sample(_TAGS, chance.randint(0, 2)),
        }
    heavy = list(accumulate((number + 1) ** -_STEEPNESS for number in range(count)))
    ends = chance.choices(range(count), cum_weights=heavy, k=2 * _PER_MEMORY * count)
    for source, target in zip(ends[::2], ends[1::2], strict=True):
        if source != target:
            yield {
                "relation": chance.choice(_RELATIONS).value,
                "from": f"n{source}",
                "to": f"n{target}",
                "weight": round(chance.uniform(0.2, 1.0), 2),
            }
