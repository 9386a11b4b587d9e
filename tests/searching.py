"""What the tests of the search share: questions to an engine, and many memories."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.builders import FACTS, NOON, found, query

from aspen.activation_db import StoreFit
from aspen.engine import Engine
from aspen.repository import Repository
from aspen.resonance_search.held import key_space_name
from aspen.types import MemoryItem

WHERE = "Where does my sister Mara live?"

Start = Callable[..., Engine]


def recall(
    engine: Engine,
    text: str = WHERE,
    *,
    limit: int = 10,
    conversation: str | None = None,
    spread: bool = True,
    arms: list[str] | None = None,
) -> list[str]:
    result = engine.search.search(
        query(engine, text), limit=limit, conversation=conversation, spread=spread, arms=arms
    )
    return found(engine, result)


def scores(engine: Engine, text: str = WHERE) -> dict[int, float]:
    result = engine.search.search(query(engine, text), limit=1000)
    return {int(result.seqs[ranked.row]): ranked.score for ranked in result.ranked}


def many(n: int, *, start: int = 0) -> list[MemoryItem]:
    return [
        MemoryItem(
            f"{FACTS[i % len(FACTS)]} For the {i}th time.",
            speaker="Ann",
            said_at=NOON + timedelta(minutes=i),
            conversation=f"c{i % 3}",
        )
        for i in range(start, start + n)
    ]


def fitted_on(repository: Repository) -> int:
    stamp = repository.stamp()
    body = repository.statistics(key_space_name(stamp)) if stamp is not None else None
    fit = StoreFit.from_bytes(body) if body is not None else None
    return fit.memories if fit else 0
