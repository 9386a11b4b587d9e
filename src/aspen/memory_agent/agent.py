"""The recall agent: a model finds memories with tools and answers from them; a plan sees to it that it ends well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from aspen.memory_agent.access import MemoryAccess
from aspen.memory_agent.answer import AgentAnswer
from aspen.memory_agent.answer_note import as_list, write_answer_note
from aspen.memory_agent.dialogue import Dialogue
from aspen.memory_agent.evidence import evidence_of
from aspen.memory_agent.interface import AgentModel
from aspen.memory_agent.plan import Orchestration
from aspen.memory_agent.tool_runtime import FOUND, Budget, ToolRuntime
from aspen.memory_agent.tools import as_query
from aspen.memory_graph import DEFAULT_PRESET
from aspen.validation import check_choice, check_count, check_seed, check_text

_NOTHING = "No memory was found for this question."


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, for models whose tokenizer is not here; rather more than fewer."""
    return len(text.encode(errors="replace")) // 3 + 1


class MemoryAgent:
    """Answers questions from a memory, with a model that calls tools.

    The model is asked for the steps of an orchestration one after the other. Where it wanders (unknown ids, the same
    call again, another tool than the step needs), where its budget ends or its context is full, the plan does what is
    left with the same tools, and the answer says so. The answer is written by the model from a note of the memories
    found; where it writes nothing, the memories are the answer.

    Parameters
    ----------
    memory:
        An `aspen.Aspen`, or anything with these of its methods.
    model:
        The model that calls and writes.
    count_tokens:
        How long a text is for the model.
    budget:
        What the model may spend.
    note_tokens:
        Most tokens of the note that the answer is written from.
    """

    def __init__(
        self,
        memory: MemoryAccess,
        model: AgentModel,
        *,
        count_tokens: Callable[[str], int] = estimated_tokens,
        budget: Budget | None = None,
        note_tokens: int = 500,
    ) -> None:
        self._memory = memory
        self._model = model
        self._count_tokens = count_tokens
        self._budget = budget or Budget()
        self._note_tokens = note_tokens

    def ask(
        self,
        question: str,
        *,
        seed: int,
        orchestration: Orchestration | str = Orchestration.TOOL,
        limit: int = 5,
        preset: str = DEFAULT_PRESET,
        max_tokens: int = 160,
        allow_writes: bool = False,
    ) -> AgentAnswer:
        """Answer `question` from at most `limit` memories.

        InvalidInput for an orchestration or preset that there is not, and for a value out of range. What is wrong with
        store or runtime (`StoreError`, `ModelError`, `MissingDependency`) raises; what a model does wrong does not.

        Parameters
        ----------
        seed:
            In [0, 2**53 - 1]. The same seed, store and model give the same answer.
        orchestration:
            "tool": search, then one spread_activation. "prompt": search, read relations, read where they lead.
            "repository": one search that spreads by itself.
        preset:
            How activation spreads; see `aspen.memory_graph.PRESETS`.
        max_tokens:
            Most tokens of the answer.
        allow_writes:
            Let the model store what follows from the memories (tools `remember` and `relate`).
        """
        check_text(question, what="question")
        check_count(limit, what="limit", maximum=50)
        check_count(max_tokens, what="max_tokens", maximum=1_000_000)
        started = time.perf_counter()
        chosen = check_choice(orchestration, Orchestration, what="orchestration")
        runtime = ToolRuntime(
            self._memory,
            question=as_query(question),
            count_tokens=self._count_tokens,
            budget=self._budget,
            preset=preset,
            found=max(limit, FOUND),
            allow_writes=allow_writes,
        )
        dialogue = Dialogue(
            self._model,
            question=question,
            orchestration=chosen,
            runtime=runtime,
            allow_writes=allow_writes,
            seed=check_seed(seed),
        )
        reason = dialogue.recall()
        if allow_writes and not reason:
            dialogue.store()
        evidence = evidence_of(
            runtime.findings, repository=self._memory.repository, limit=limit, now=datetime.now(UTC)
        )
        note = write_answer_note(evidence, budget=self._note_tokens, count_tokens=self._count_tokens)
        text, problem = dialogue.answer(note, max_tokens=max_tokens)
        noted = note.memory_ids if note is not None and text else ()
        return AgentAnswer(
            question=question,
            text=text or as_list(evidence) or _NOTHING,
            written_by="model" if text else "memories",
            problem=problem,
            memories=tuple(replace(one, noted=one.memory.id in noted) for one in evidence),
            note=note if text else None,
            steps=tuple(runtime.steps),
            handles=runtime.handles.ids(),
            orchestration=chosen.value,
            preset=preset,
            finished_by="fallback" if reason else "model",
            reason=reason,
            model=self._model.name,
            turns=dialogue.turns,
            prompt_tokens=dialogue.prompt_tokens,
            reply_tokens=dialogue.reply_tokens,
            seconds=time.perf_counter() - started,
            seed=seed,
        )
