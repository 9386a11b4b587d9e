"""Reconstructive recall: what one believes comes where it decides the answer, and plain facts stay where they were."""

from __future__ import annotations

import pytest
from tests.acceptance.creator import FIRST, QUESTIONS, Asked, first

from aspen import Aspen

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

BRING = [asked for asked in QUESTIONS if asked.kind == "bring"]
UNCHANGED = [asked for asked in QUESTIONS if asked.kind == "unchanged"]


def test_there_are_questions_of_both_kinds() -> None:
    assert len(BRING) >= 10
    assert len(UNCHANGED) >= 10
    expected = {asked.question: asked.expected for asked in BRING}
    assert expected["How do I handle creative burnout?"] == "belief-work-life-balance"
    assert expected["What should my content strategy be?"] == "self-channel-focus"


@pytest.mark.parametrize("asked", BRING, ids=str)
def test_spreading_brings_what_hybrid_search_misses(creator: Aspen, asked: Asked) -> None:
    assert asked.expected not in first(creator, asked.question, use_spreading_activation=False)
    found = creator.recall(asked.question, limit=FIRST)
    hit = next(hit for hit in found.hits if hit.memory.source == asked.expected)
    assert hit.memory.type in ("self", "belief")
    assert hit.type_boost == 1.75
    assert hit.activation > 0
    assert any(path.relations and path.memories[-1] == hit.memory.id for path in hit.paths)


@pytest.mark.parametrize("asked", UNCHANGED, ids=str)
def test_spreading_leaves_a_plain_fact_in_its_place(creator: Aspen, asked: Asked) -> None:
    without = first(creator, asked.question, use_spreading_activation=False)
    assert asked.expected in without
    assert first(creator, asked.question).index(asked.expected) == without.index(asked.expected)


def test_what_was_corrected_stands_behind_what_holds_now(creator: Aspen) -> None:
    hits = creator.recall("How often does a new film go up?", limit=20).hits
    names = [hit.memory.source for hit in hits]
    new, old = (names.index(f"fact-uploads-{rhythm}") for rhythm in ("monthly", "fortnightly"))
    assert new < old
    assert hits[old].corrected_by == hits[new].memory.id
    assert hits[new].corrected_by is None
