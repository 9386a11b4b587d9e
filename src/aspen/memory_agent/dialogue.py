"""The conversation with a model about one question: it is asked for each step, and the plan finishes what it leaves."""

from __future__ import annotations

from typing import Literal

from aspen.errors import PromptTooLong
from aspen.memory_agent.interface import AgentMessage, AgentModel, AgentTurn, Tool
from aspen.memory_agent.plan import Orchestration, Plan, Stage
from aspen.memory_agent.prompts import ask_for, base, recall_sections
from aspen.memory_agent.tool_runtime import ToolRuntime
from aspen.memory_agent.tools import TOOLS, WRITING
from aspen.memory_injector import Note

_TRIES = 2
"""Turns that a model has for one step of the plan."""
_WRITES = 3
"""Turns in which a model may store something, where it is allowed to."""
_CALL_TOKENS = 200
"""Most tokens of the calls of one turn."""


class Dialogue:
    """What is said between the agent and a model for one question, and what it costs."""

    def __init__(
        self,
        model: AgentModel,
        *,
        question: str,
        orchestration: Orchestration,
        runtime: ToolRuntime,
        allow_writes: bool,
        seed: int,
    ) -> None:
        self._model = model
        self._question = question
        self._runtime = runtime
        self._plan = Plan(orchestration, question=question, runtime=runtime)
        self._allow_writes = allow_writes
        self._seed = seed
        steps = recall_sections()[orchestration.value]
        self._messages = [AgentMessage("system", f"{base()}\n{steps}")]
        self.turns = self.prompt_tokens = self.reply_tokens = 0

    def recall(self) -> str:
        """Find memories; returns why the plan had to go on without the model, empty where it had not."""
        reason = self._by_model()
        while reason and (stage := self._plan.next()) is not None:
            self._runtime.call(stage.call, by="plan")
            self._runtime.completed(stage.name)
        return reason

    def store(self) -> None:
        """Let the model store what follows from what it found, until it has nothing more to store."""
        self._say(recall_sections()["write"].replace("{question}", self._question))
        tools = [TOOLS[name] for name in sorted(WRITING)]
        for _ in range(_WRITES):
            if self._obstacle():
                return
            try:
                turn = self._turn(tools, must="either")
            except PromptTooLong:
                return
            for call in turn.calls:
                self._hear(call.id, self._runtime.call(call))
            if not turn.calls:
                return

    def answer(self, note: Note | None, *, max_tokens: int) -> tuple[str, str]:
        """What the model answers from a note, and why it does not, one of them empty."""
        if note is None:
            return "", "Nothing was found that it could answer from."
        request = recall_sections()["answer"].replace("{question}", self._question)
        self._messages = [AgentMessage("system", note.text), AgentMessage("user", request)]
        try:
            text = self._turn([], must="answer", max_tokens=max_tokens).text.strip()
        except PromptTooLong as error:
            return "", error.message
        return text, "" if text else "The model wrote nothing."

    def _by_model(self) -> str:
        """Ask the model for the steps of the plan, one after the other; returns why it did not do all."""
        stage, tries, problem = self._plan.next(), 0, ""
        while stage is not None:
            if obstacle := self._obstacle():
                return obstacle
            if tries == _TRIES:
                return f"The step {stage.name!r} was not done in {_TRIES} turns: {problem}"
            self._say(ask_for(stage.tool, stage.arguments))
            try:
                turn = self._turn(self._plan.offered(stage, allow_writes=self._allow_writes), must="call")
            except PromptTooLong as error:
                return error.message
            tries, problem = tries + 1, "No tool was called."
            for call in turn.calls:
                self._hear(call.id, self._runtime.call(call))
                problem = self._runtime.steps[-1].error or _short_of(stage, call.name)
                following = self._plan.next()
                if following is None or following.name != stage.name:
                    self._runtime.completed(stage.name)
                    stage, tries = following, 0
                if stage is None:
                    return ""
        return ""

    def _obstacle(self) -> str:
        """Why the model may not go on; empty where it may."""
        budget = self._runtime.budget
        if self._runtime.calls_left <= 0:
            return f"All {budget.calls} calls of tools are used up."
        if self.prompt_tokens + self.reply_tokens >= budget.tokens:
            return f"All {budget.tokens:,} tokens for finding memories are used up."
        return ""

    def _turn(
        self,
        tools: list[Tool],
        *,
        must: Literal["call", "answer", "either"],
        max_tokens: int = _CALL_TOKENS,
    ) -> AgentTurn:
        turn = self._model.turn(
            self._messages, tools=tools, must=must, max_tokens=max_tokens, seed=self._seed
        )
        self.turns += 1
        self.prompt_tokens += turn.prompt_tokens
        self.reply_tokens += turn.reply_tokens
        self._messages.append(AgentMessage("assistant", turn.text, turn.calls))
        return turn

    def _say(self, text: str) -> None:
        self._messages.append(AgentMessage("user", text))

    def _hear(self, call_id: str, result: str) -> None:
        self._messages.append(AgentMessage("tool", result, call_id=call_id))


def _short_of(stage: Stage, tool: str) -> str:
    """What a call that went well lacks for the step."""
    if tool != stage.tool:
        return f"It called {tool}, not {stage.tool}."
    return (
        "It searched for something else." if tool == "search_memories" else "It left out the best memories."
    )
