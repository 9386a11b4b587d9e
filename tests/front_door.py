"""What the tests of the front door share."""

from __future__ import annotations

from collections.abc import Callable

from tests.builders import FACTS, NOON

from aspen import Aspen, Memory, MemoryItem
from aspen.testing.fake_model import FakeModel

WHERE = "Where did my sister move to?"
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
