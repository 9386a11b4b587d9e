"""Chats with a fake model whose traces are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.front_door import Telling

from aspen import Aspen, Config
from aspen.models import LanguageModel
from aspen.types import TraceLevel

OpenWith = Callable[..., Aspen]


@pytest.fixture
def open_with(config: Config) -> Iterator[OpenWith]:
    """Opens a store in memory with a model; all are closed at the end."""
    with ExitStack() as stack:

        def open_one(model: LanguageModel) -> Aspen:
            return stack.enter_context(Aspen.open(":memory:", model=model, config=config))

        yield open_one


@pytest.fixture
def aspen(open_with: OpenWith) -> Aspen:
    return open_with(Telling("She lives in Lisbon."))


def chat(
    aspen: Aspen,
    message: str = "Where is Mara?",
    *,
    level: TraceLevel = TraceLevel.POOLED,
    strategy: str = "note",
    conversation: str = "talk",
    memory: bool = True,
) -> str:
    """The id of the trace of a turn."""
    reply = aspen.chat(
        message,
        conversation=conversation,
        seed=3,
        max_tokens=8,
        level=level,
        strategy=strategy,
        memory=memory,
    )
    assert reply.trace_id is not None
    return reply.trace_id
