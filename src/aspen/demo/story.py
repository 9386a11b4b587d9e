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
    """What the person asks in part two. `fact` is a pattern that finds the fact in a right answer.

    The screen of a question with `picture` is what `--svg` saves.
    """

    text: str
    fact: str
    seed: int
    quick: bool = False
    picture: bool = False


TURNS = (
    Turn("family", "My sister Mara moved to Lisbon last spring. What is Lisbon famous for?", 1, quick=True),
    Turn("family", "Mara works as a nurse in a children's hospital. What does a nurse do?", 2, quick=True),
    Turn("family", "Theo is allergic to peanuts. What is an allergy?", 3, quick=True),
    Turn(
        "work",
        "Skylark is my weather station. It runs on a Raspberry Pi. What does it measure?",
        4,
        quick=True,
    ),
    Turn(
        "work", "The login test failed at random because two tests shared a database. What is a database?", 5
    ),
    Turn(
        "work", "The fix for the flaky login test was to give each test its own database. What is a test?", 6
    ),
    Turn("home", "Our cat Pixel sleeps on the piano. What do cats like to eat?", 7, quick=True),
    Turn("home", "The bicycle chain slipped because of a worn cassette. A new cassette fixed it.", 8),
    Turn("home", "The plumber repaired the boiler for 240 euros. What does a boiler do?", 9),
    Turn("plans", "Coffee keeps me awake, so I drink green tea. Where does green tea come from?", 10),
    Turn("plans", "Jonas arrives on 3 August. His train stops at platform 9. What is fun in summer?", 11),
    Turn("plans", "Which computer does Skylark use?", 12, quick=True, memory=True),
)
REPLAYED = TURNS[0]
"""The turn that process two replays."""

QUESTIONS = (
    Question("Where does the kitten rest?", "piano", 7, quick=True),
    Question("What does my sister do for a living?", "nurse", 7, quick=True, picture=True),
    Question("What makes Theo ill?", "peanut|allerg", 7, quick=True),
    Question("How much did the heating repair cost?", "240", 7),
    Question("What was the fix for the flaky login test?", "own database", 7),
)
