"""What the tests of the front door share."""

from __future__ import annotations

from collections.abc import Callable

from tests.builders import FACTS, NOON

from aspen import Aspen, Memory, MemoryItem
from aspen.testing.fake_model import FakeModel
from aspen.types import MemoryType

WHERE = "Where did my sister move to?"
WHAT = "How did the exhibition in spring go?"  # finds `remembered`, "spring" first
NOTE_TOKENS = 900  # FakeModel has a token per byte

Open = Callable[..., Aspen]


def facts(aspen: Aspen) -> list[Memory]:
    return aspen.remember_many(
        [MemoryItem(fact, speaker="Ann", said_at=NOON, conversation="facts") for fact in FACTS]
    )


def count(aspen: Aspen) -> int:
    return aspen.repository.stats().memories


class Telling(FakeModel):
    """Says what it is told to, and keeps the prompts it saw."""

    def __init__(self, reply: str = "Very well.", *, context_length: int = 4096) -> None:
        self.prompts: list[str] = []
        super().__init__(say=self._answer, context_length=context_length)
        self.reply = reply

    def _answer(self, prompt: str) -> str:
        if prompt not in self.prompts:
            self.prompts.append(prompt)
        return self.reply


def remembered(aspen: Aspen) -> dict[str, Memory]:
    """An episode that a question finds, a belief that shares nothing with it, and things that do not matter."""
    texts: dict[str, tuple[str, MemoryType]] = {
        "spring": ("The exhibition in spring went wrong, it went on for weeks.", MemoryType.EPISODIC),
        "pattern": ("zzz qqq", MemoryType.PATTERN),
        "belief": ("Xylophones jinx kvass.", MemoryType.BELIEF),
        **{f"other {n}": (f"The exhibition number {n}.", MemoryType.SEMANTIC) for n in range(8)},
    }
    items = [MemoryItem(text, source=name, type=kind) for name, (text, kind) in texts.items()]
    return dict(zip(texts, aspen.remember_many(items), strict=True))


def related(aspen: Aspen) -> dict[str, str]:
    """Ids of the same, with relations from the episode over the pattern to the belief."""
    ids = {name: memory.id for name, memory in remembered(aspen).items()}
    aspen.relate(ids["spring"], ids["pattern"], "example_of", weight=0.9)
    aspen.relate(ids["pattern"], ids["belief"], "supports", weight=0.8)
    return ids
