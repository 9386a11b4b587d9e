"""Asking: the answer stands on what one believes, whichever way the agent goes and wherever the memories lie."""

from __future__ import annotations

import os

import pytest
from tests.acceptance.creator import FIRST, QUESTIONS, Asked

from aspen import Aspen
from aspen.memory_agent import Orchestration

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

_EACH = None if os.environ.get("ASPEN_ACCEPTANCE") == "all" else 1
"""Questions of each kind: an answer takes seconds. All of them where ASPEN_ACCEPTANCE=all."""
SOME = [
    asked
    for kind in ("bring", "unchanged")
    for asked in [asked for asked in QUESTIONS if asked.kind == kind][:_EACH]
]


@pytest.mark.parametrize("orchestration", [Orchestration.TOOL, Orchestration.PROMPT])
@pytest.mark.parametrize("asked", SOME, ids=str)
def test_an_answer_stands_on_the_memory_that_decides_it(
    creator: Aspen, asked: Asked, orchestration: Orchestration
) -> None:
    answer = creator.ask(
        asked.question, orchestration=orchestration, limit=FIRST, seed=7, max_tokens=40, reinforce=False
    )
    assert answer.text.strip()
    assert asked.expected in [one.memory.source for one in answer.memories[:FIRST]]
    if asked.kind == "bring":
        decisive = next(one for one in answer.memories if one.memory.source == asked.expected)
        assert decisive.activation > 0
        assert any(path.relations for path in decisive.paths)
    assert answer.steps[0].tool == "search_memories"
    assert len(answer.steps) >= 2
