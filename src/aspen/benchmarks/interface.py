"""What a benchmark is made of: memories, questions with their evidence, and systems that search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Protocol, Self

from aspen.errors import InvalidInput
from aspen.resonance_search import dated_text
from aspen.types import FloatArray, MemoryItem

Advance = Callable[[int], None]
"""Called with the number of memories written so far."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the sources of the memories that hold its answer.

    `group` is the conversation it is about and the only one that is searched; "" where all memories are searched.
    """

    text: str
    evidence: frozenset[str]
    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Memories and questions about them. A memory's `source` is unique within its conversation.

    files: SHA-256 by the name of each file read; cutoffs: the k of recall@k; apart: kinds of questions that count in
    no average but their own; not_read: memories of the files that were left out.
    """

    name: str
    items: tuple[MemoryItem, ...]
    questions: tuple[Question, ...]
    files: Mapping[str, str]
    cutoffs: tuple[int, ...] = (5, 10, 25)
    apart: frozenset[str] = frozenset()
    not_read: int = 0

    @property
    def conversations(self) -> dict[str, int]:
        """Memories of each conversation, in the order in which they appear; none where there are no conversations."""
        counts: dict[str, int] = {}
        for item in self.items:
            if item.conversation is not None:
                counts[item.conversation] = counts.get(item.conversation, 0) + 1
        return counts

    def part(self, *, conversations: int | None = None, questions: int | None = None) -> Dataset:
        """The first `conversations`, and of each of them the first `questions`; all where None."""
        if conversations is not None and not self.conversations:
            raise InvalidInput(f"{self.name} has no conversations to take the first {conversations} of.")
        kept = set(islice(self.conversations, conversations))
        left: dict[str, int] = {}
        asked = []
        for question in self.questions:
            seen = left.get(question.group, 0)
            if (question.group in kept or not question.group) and (questions is None or seen < questions):
                asked.append(question)
                left[question.group] = seen + 1
        items = tuple(item for item in self.items if item.conversation is None or item.conversation in kept)
        if not asked:
            raise InvalidInput(f"No question is left of {self.name}.", hint="Take more conversations.")
        return replace(self, items=items, questions=tuple(asked))


class System(Protocol):
    """A memory that can be written to and searched. It is entered before, and left after its use."""

    @property
    def name(self) -> str:
        """As it stands in the report."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        """Remember `items`; returns the seconds that took, those of the store where systems share one."""

    def search(self, question: Question, *, limit: int) -> list[str]:
        """The sources of the `limit` best memories, best first."""


class Embedder(Protocol):
    """What `Aspen.open` takes as `embedder`."""

    @property
    def name(self) -> str:
        """Names model and version."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text."""


def rendered(item: MemoryItem) -> str:
    """A memory as every other system gets it, which is what Aspen's keyword arm reads: when, who, and what."""
    return dated_text(item.text, speaker=item.speaker, said_at=item.said_at)
