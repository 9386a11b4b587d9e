"""Runs the tools that a model calls: checked, within a budget, logged; what goes wrong comes back as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aspen.errors import AspenError, InvalidInput
from aspen.memory_agent.access import MemoryAccess
from aspen.memory_agent.answer import AgentStep, By
from aspen.memory_agent.arguments import check_arguments
from aspen.memory_agent.findings import SEEDS, Findings
from aspen.memory_agent.handles import Handles
from aspen.memory_agent.interface import ToolCall
from aspen.memory_agent.results import active_row, as_json, fitted, hit_row, read_row, refused
from aspen.memory_agent.tools import TOOLS, WRITING
from aspen.memory_graph import DEFAULT_PRESET, preset_settings
from aspen.repository import edges_of
from aspen.types import Provenance, RelationType

SOURCE = "memory_agent"
"""The source of what the agent stores."""
FOUND = 10
"""Memories that a search finds, unless more are wanted."""
_WEIGHT = 0.5  # of a relation that a model makes without saying how strong it is
#: What the model itself said stays out: it would repeat its own mistakes as facts.
_PROVENANCES = (Provenance.SAID, Provenance.IMPORTED, Provenance.INFERRED)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a model may spend on finding memories.

    calls: of tools. tokens: read and written by the model before it answers. result_tokens: of one result.
    """

    calls: int = 8
    tokens: int = 16_000
    result_tokens: int = 300


class ToolRuntime:
    """The five tools, on one store and for one question.

    Results are JSON text for the model. A bad argument, an unknown id or tool, the same call again, a budget that is
    used up and every other AspenError come back to it as {"error", "hint"}. What was found is kept in `findings`, all
    calls in `steps`; memories have short ids in `handles`, beside their own.

    Parameters
    ----------
    count_tokens:
        How long a text is for the model that reads it.
    preset:
        How activation spreads where a call does not say it; see `aspen.memory_graph.PRESETS`.
    found:
        Memories that a search finds where its limit is not given; spreading, which starts from them, returns twice as
        many and some more.
    allow_writes:
        Whether `remember` and `relate` may change the store.
    """

    def __init__(
        self,
        memory: MemoryAccess,
        *,
        question: str,
        count_tokens: Callable[[str], int],
        budget: Budget | None = None,
        preset: str = DEFAULT_PRESET,
        found: int = FOUND,
        allow_writes: bool = False,
    ) -> None:
        self._memory = memory
        self._count_tokens = count_tokens
        self._preset = preset
        self._settings = preset_settings(preset)
        self._found = found
        self._allow_writes = allow_writes
        self._done: set[str] = set()
        self.budget = budget or Budget()
        self.findings = Findings(question=question, settings=self._settings)
        self.handles = Handles()
        self.steps: list[AgentStep] = []
        self._tools: Mapping[str, Callable[[Mapping[str, Any]], _Outcome]] = {
            "search_memories": self._search_memories,
            "get_memories": self._get_memories,
            "spread_activation": self._spread_activation,
            "remember": self._remember,
            "relate": self._relate,
        }

    @property
    def calls_left(self) -> int:
        """Calls that the model may still make."""
        return self.budget.calls - sum(step.by == "model" for step in self.steps)

    def call(self, call: ToolCall, *, by: By = "model") -> str:
        """Run a call; returns its result, or what was wrong with it, as JSON for the model.

        What is wrong with a call of the plan is no model's affair: it raises.
        """
        started = time.perf_counter()
        found, error = 0, ""
        try:
            outcome = self._run(call, by=by)
            result, found = outcome.text, outcome.found
        except AspenError as problem:
            if by == "plan":
                raise
            error = problem.message
            result = refused(problem.message, hint=problem.hint)
        self.steps.append(
            AgentStep(
                tool=call.name,
                arguments=call.arguments,
                by=by,
                completed="",
                error=error,
                found=found,
                result_tokens=self._count_tokens(result),
                seconds=time.perf_counter() - started,
            )
        )
        return result

    def completed(self, stage: str) -> None:
        """Note that the last call completed a stage of the plan."""
        self.steps[-1] = replace(self.steps[-1], completed=stage)

    def _run(self, call: ToolCall, *, by: By) -> _Outcome:
        if by == "model" and self.calls_left <= 0:
            raise InvalidInput(
                f"All {self.budget.calls} calls are used up.", hint="Answer with what was found."
            )
        if call.name not in TOOLS:
            raise InvalidInput(f"There is no tool {call.name[:40]!r}.", hint=f"Tools: {', '.join(TOOLS)}.")
        if call.problem:
            raise InvalidInput(call.problem, hint="Arguments are one JSON object.")
        if call.name in WRITING and not self._allow_writes:
            raise InvalidInput(f"{call.name} is not allowed here.", hint="Only read.")
        check_arguments(call.arguments, TOOLS[call.name].parameters)
        key = as_json({"name": call.name, "arguments": dict(sorted(call.arguments.items()))})
        if by == "model" and key in self._done:
            raise InvalidInput(
                "This call was made before.", hint="Its result stands above; call something else."
            )
        outcome = self._tools[call.name](call.arguments)
        self._done.add(key)
        return outcome

    # -- the tools -----------------------------------------------------------------------------------------

    def _search_memories(self, arguments: Mapping[str, Any]) -> _Outcome:
        query = arguments["query"]
        recall = self._memory.recall(
            query,
            limit=arguments.get("limit", self._found),
            use_spreading_activation=arguments.get("use_spreading_activation", False),
            preset=self._preset,
            types=arguments.get("types"),
            provenances=_PROVENANCES,
        )
        self.findings.add_hits(query, recall.hits)
        return self._told([hit_row(hit, self.handles) for hit in recall.hits])

    def _get_memories(self, arguments: Mapping[str, Any]) -> _Outcome:
        memories = self._memory.repository.get(self._ids(arguments["ids"]))
        rows = self._memory.repository.out_edges(
            [memory.seq for memory in memories],
            fan=self._settings.fan,
            min_weight=self._settings.min_weight,
            types=self._settings.relation_types,
        )
        ends = {
            memory.seq: memory
            for memory in self._memory.repository.get_by_seq(sorted(set(rows.targets.tolist())))
            if memory.provenance in _PROVENANCES
        }
        edges = [edge for edge in edges_of(rows) if edge.target in ends]
        self.findings.add_read(memories, edges=edges, ends=ends.values())
        return self._told(
            [
                read_row(memory, [edge for edge in edges if edge.source == memory.seq], ends, self.handles)
                for memory in memories
            ]
        )

    def _spread_activation(self, arguments: Mapping[str, Any]) -> _Outcome:
        ids, settings = self._ids(arguments["seed_ids"]), self._settings
        scores = self.findings.seed_scores()
        spread = self._memory.spread_activation(
            {id_: scores.get(id_, 1.0) for id_ in ids},
            max_hops=arguments.get("max_hops", settings.max_hops),
            type_boost=arguments.get("type_boost", settings.type_boost),
            top_k=arguments.get("top_k", 2 * self._found + SEEDS),
            decay=arguments.get("decay", settings.decay),
            min_weight=arguments.get("min_weight", settings.min_weight),
            relation_types=arguments.get("relation_types", _relation_types(settings.relation_types)),
            fan=settings.fan,
        )
        reached = [one for one in spread.memories if one.memory.provenance in _PROVENANCES]
        self.findings.add_spread(ids, reached)
        news = [one for one in reached if one.memory.id not in ids]  # the model has read the seeds
        more = {"truncated": True} if spread.truncated else {}
        return self._told([active_row(one, self.handles) for one in news], more=more)

    def _remember(self, arguments: Mapping[str, Any]) -> _Outcome:
        text = arguments["text"]
        provenance = Provenance.RECALLED if self._was_recalled(text) else Provenance.INFERRED
        memory = self._memory.remember(
            text,
            source=SOURCE,
            provenance=provenance,
            type=arguments["type"],
            importance=arguments.get("importance", "medium"),
            tags=arguments.get("tags", ()),
        )
        return _Outcome(as_json({"id": self.handles.of(memory.id), "provenance": memory.provenance.value}))

    def _relate(self, arguments: Mapping[str, Any]) -> _Outcome:
        source, target = self._ids([arguments["source"], arguments["target"]], distinct=False)
        self._memory.relate(
            source,
            target,
            arguments["relation"],
            weight=arguments.get("weight", _WEIGHT),
            provenance=Provenance.INFERRED,
        )
        return _Outcome(as_json({"related": True}))

    # -- what they share -----------------------------------------------------------------------------------

    def _ids(self, given: Sequence[str | int], *, distinct: bool = True) -> list[str]:
        ids = [self.handles.id_of(one) for one in given]
        return list(dict.fromkeys(ids)) if distinct else ids

    def _told(self, rows: Sequence[Mapping[str, Any]], *, more: Mapping[str, Any] | None = None) -> _Outcome:
        text = fitted(
            rows, more=more or {}, budget=self.budget.result_tokens, count_tokens=self._count_tokens
        )
        return _Outcome(text, found=len(rows))

    def _was_recalled(self, text: str) -> bool:
        """Whether a text says nothing but what stands in a memory that was found."""
        words = _words(text)
        return any(words in _words(memory.text) for memory in self.findings.memories.values())


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a tool gives: text for the model, and how many memories stand behind it."""

    text: str
    found: int = 0


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def _relation_types(names: frozenset[str] | None) -> list[RelationType | str] | None:
    return None if names is None else sorted(names)
