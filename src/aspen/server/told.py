"""What several answers have in common: memories with their standing, traces as a list shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, Field

from aspen.aspen import Aspen
from aspen.hits import standings
from aspen.repository import TraceInfo
from aspen.turns import USER, alternative_to
from aspen.types import Memory, Trace

_Item = TypeVar("_Item")


class Listed(BaseModel, Generic[_Item]):
    """All of them, or as many as were asked for."""

    items: list[_Item]


class Page(BaseModel, Generic[_Item]):
    """A part of a list."""

    items: list[_Item]
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldMemory(Memory):
    """A memory, how much it matters just now (in [0, 1]), and the id of what holds instead, where it was corrected."""

    priority: float
    corrected_by: str | None


def told(aspen: Aspen, memories: Sequence[Memory]) -> list[ToldMemory]:
    """Memories with their standing, in their order."""
    return [ToldMemory(**one.data()) for one in standings(aspen.repository, memories)]


class ToldTrace(BaseModel):
    """What a list shows of a trace. `size` in bytes; `alternative_to` is the trace that was chosen in its place."""

    id: str
    conversation: str | None
    created_at: datetime
    seed: int
    level: str
    size: int
    alternative_to: str | None

    @classmethod
    def of(cls, info: TraceInfo) -> Self:
        """From what the store knows."""
        return cls(**asdict(info), alternative_to=alternative_to(info.id))


def told_trace(trace: Trace, *, size: int) -> ToldTrace:
    """From the trace itself, `size` bytes encoded."""
    return ToldTrace.of(
        TraceInfo(trace.id, trace.conversation, trace.created_at, trace.seed, trace.level.value, size)
    )


class ListedTrace(ToldTrace):
    """`said` is what the user said in that turn, where it is still stored."""

    said: str | None


def told_traces(aspen: Aspen, infos: Sequence[TraceInfo]) -> list[ListedTrace]:
    """Traces for a list, in their order. One that was not chosen is of the turn of the one that was."""
    turns = [alternative_to(info.id) or info.id for info in infos]
    memories = aspen.repository.from_traces(turns)
    said = {memory.trace_id: memory.text for memory in memories if memory.speaker == USER}
    return [
        ListedTrace(**ToldTrace.of(info).model_dump(), said=said.get(turn))
        for info, turn in zip(infos, turns, strict=True)
    ]
