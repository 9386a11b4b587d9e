"""What an asked agent gives back: the answer, the memories it stands on, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aspen.memory_injector import Note
from aspen.types import HitPath, Memory

By = Literal["model", "plan"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A memory that an answer stands on, and why.

    `score` orders the evidence of one answer: `seed_score`, what a search gave (0 where none found the memory), with
    `activation`, what came over relations, in which each step that led here was multiplied by `type_boost`. `priority`
    in [0, 1]. `paths` are the strongest ways on which activation came. `noted`: whether the memory stands in the note
    that the answer was written from.
    """

    memory: Memory
    score: float
    seed_score: float
    activation: float
    type_boost: float
    priority: float
    paths: tuple[HitPath, ...]
    noted: bool = False


@dataclass(frozen=True, slots=True)
class AgentStep:
    """One call of a tool.

    `by` says who made it: the model, or the plan in its place. `completed` names the stage of the plan that was
    complete with it, empty where none was. `error` is empty where the tool did what was asked. `found` counts the
    memories that came back, `result_tokens` how long the result is that the model reads.
    """

    tool: str
    arguments: Mapping[str, Any]
    by: By
    completed: str
    error: str
    found: int
    result_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """The answer to a question.

    text:
        The answer: prose by the model, or where it wrote none, the memories themselves.
    written_by:
        "model", or "memories" where `text` is made of them; `problem` then says why.
    memories:
        What the answer stands on, best first.
    note:
        What the model wrote from; None where nothing was found or it did not fit.
    steps:
        All calls of tools, in order.
    handles:
        Ids of memories by the short ones that calls use.
    finished_by:
        "model" where each stage of the plan was completed by a call of the model, "fallback" where the plan had to make
        calls itself; `reason` then says why.
    prompt_tokens, reply_tokens:
        What the model read and wrote, over all turns; `turns` counts them.
    seconds:
        From the question to the answer.
    """

    question: str
    text: str
    written_by: Literal["model", "memories"]
    problem: str
    memories: tuple[Evidence, ...]
    note: Note | None
    steps: tuple[AgentStep, ...]
    handles: Mapping[str, str]
    orchestration: str
    preset: str
    finished_by: Literal["model", "fallback"]
    reason: str
    model: str
    turns: int
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    seed: int

    @property
    def steps_by_model(self) -> int:
        """How many stages of the plan the model completed."""
        return sum(step.by == "model" and bool(step.completed) for step in self.steps)

    @property
    def steps_by_plan(self) -> int:
        """How many the plan completed in its place."""
        return sum(step.by == "plan" and bool(step.completed) for step in self.steps)
