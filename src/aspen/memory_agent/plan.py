"""The steps of a recall, by orchestration: what is to be done next, and the call that would do it.

The model is asked for each step and free in how it does it; a step is complete when its calls brought what the next one
needs. Where the model does not get there, the plan makes the call itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aspen.memory_agent.evidence import IDENTITY
from aspen.memory_agent.interface import Tool, ToolCall
from aspen.memory_agent.tool_runtime import ToolRuntime
from aspen.memory_agent.tools import MAX_IDS, MAX_QUERY, TOOLS, WRITING, as_query, narrowed

_LEAD = 3
"""Of the memories that a step is about, the best so many have to be among the model's own."""
_AT_ONCE = 8
"""Neighbours that the plan reads in one call."""


class Orchestration(StrEnum):
    """Who does the spreading."""

    TOOL = "tool"  # search, one spread_activation
    PROMPT = "prompt"  # search, read relations, read where they lead: plain tools only
    REPOSITORY = "repository"  # one search that spreads by itself


@dataclass(frozen=True, slots=True)
class Stage:
    """A step that is to be done: its name, the call that does it, and the memories (ids) that the call is about."""

    name: str
    tool: str
    arguments: Mapping[str, Any]
    about: tuple[str, ...] = ()

    @property
    def call(self) -> ToolCall:
        """The plan's own call."""
        return ToolCall(f"plan_{self.name}", self.tool, self.arguments)


class Plan:
    """What is still to be done for a question, judged by what `runtime` found."""

    def __init__(self, orchestration: Orchestration, *, question: str, runtime: ToolRuntime) -> None:
        self._orchestration = orchestration
        self._question = question
        self._runtime = runtime
        self._findings = runtime.findings

    def next(self) -> Stage | None:
        """The next step; None where the recall is complete."""
        if not self._findings.asked:
            query: dict[str, Any] = {"query": as_query(self._question)}
            if self._orchestration is Orchestration.REPOSITORY:
                query["use_spreading_activation"] = True
            return Stage("search", "search_memories", query)
        seeds = list(self._findings.seed_scores())
        match self._orchestration:
            case Orchestration.TOOL:
                return self._open(
                    "spread", "spread_activation", "seed_ids", seeds, done=self._findings.spread_from
                )
            case Orchestration.PROMPT:
                return self._reading(seeds)
            case Orchestration.REPOSITORY:
                return None

    def _reading(self, seeds: list[str]) -> Stage | None:
        """Read what was found, then where its relations lead, then who or what one is behind that."""
        findings = self._findings
        near = [memory.id for memory in findings.leads_to(seeds)]
        behind = findings.leads_to([*seeds, *(id_ for id_ in near if id_ in findings.read)])
        identity = [memory.id for memory in behind if memory.type in IDENTITY and memory.id not in near]
        return (
            self._open("read", "get_memories", "ids", seeds, done=findings.read)
            or self._open("neighbours", "get_memories", "ids", near[:_AT_ONCE], done=findings.read)
            or self._open("identity", "get_memories", "ids", identity[:_AT_ONCE], done=findings.read)
        )

    def _open(
        self, name: str, tool: str, argument: str, about: Sequence[str], *, done: set[str]
    ) -> Stage | None:
        """A step about some memories, best first; None where the best of them are done."""
        if done.issuperset(about[:_LEAD]):
            return None
        missing = [id_ for id_ in about if id_ not in done][:MAX_IDS]
        return Stage(name, tool, {argument: self._runtime.handles.of_all(missing)}, about=tuple(missing))

    def offered(self, stage: Stage, *, allow_writes: bool) -> list[Tool]:
        """The tools of this orchestration, with the arguments that a model has to decide on and no others.

        How activation spreads is said by the preset. Ids are those that were shown.
        """
        query = {"type": "string", "minLength": 1, "maxLength": MAX_QUERY}
        known = list(self._runtime.handles.ids())
        ids: dict[str, Any] = {
            "type": "array",
            "items": {"enum": known},
            "minItems": max(1, min(_LEAD, len(stage.about))),
            "maxItems": min(MAX_IDS, max(len(known), 1)),
        }
        tools = []
        match self._orchestration:
            case Orchestration.TOOL:
                tools = [narrowed("search_memories", {"query": query})]
                tools += [narrowed("spread_activation", {"seed_ids": ids})] if known else []
            case Orchestration.PROMPT:
                tools = [narrowed("search_memories", {"query": query})]
                tools += [narrowed("get_memories", {"ids": ids})] if known else []
            case Orchestration.REPOSITORY:
                spreading = {"type": "boolean", "enum": [True]}
                tools = [narrowed("search_memories", {"query": query, "use_spreading_activation": spreading})]
        return [*tools, *(TOOLS[name] for name in sorted(WRITING) if allow_writes)]
