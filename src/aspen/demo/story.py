"""The story: what a person says, and what they ask a day later. The only text of the demo that is not computed."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TOKENS = 40
"""Of every reply: long enough for a fact, short enough to wait for on two cores."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the person says in part one. `quick` ones are played with --quick, too."""

    conversation: str
    text: str
    seed: int
    quick: bool = False
    memory: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What the person asks in part two. `fact` is a pattern that finds the fact in a right answer."""

    text: str
    fact: str
    seed: int
    quick: bool = False


TURNS = (
    Turn("family", "My sister Mara moved to Lisbon last spring. What is Lisbon known for?", 1, quick=True),
)
QUESTIONS = (Question("Who lives in Portugal?", "Mara|sister", 1, quick=True),)
