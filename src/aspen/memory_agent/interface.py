"""What the recall agent asks of a model that calls tools, whatever runs it: one turn at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model may call; `parameters` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made. Where its arguments are no JSON object they are {}, and `problem` says why."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """One message between the agent and a model; `role` is "system", "user", "assistant" or "tool".

    `calls` are those of an assistant, `call_id` names the call whose result a message of role "tool" holds.
    """

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """What a model did in one turn: it wrote text, called tools, or both. `seconds` as a person waits."""

    text: str
    calls: tuple[ToolCall, ...]
    prompt_tokens: int
    reply_tokens: int
    seconds: float


class AgentModel(Protocol):
    """A language model that can call tools."""

    @property
    def name(self) -> str:
        """What it is called, for reports."""

    def turn(
        self,
        messages: Sequence[AgentMessage],
        *,
        tools: Sequence[Tool],
        must: Literal["call", "answer", "either"],
        max_tokens: int,
        seed: int,
    ) -> AgentTurn:
        """Go on with a conversation: call one of `tools`, answer in text, or do what seems better.

        Equal arguments give equal turns, where the runtime can promise it. A call that cannot be read is no error, see
        `ToolCall.problem`. Raises PromptTooLong where the messages do not fit the model's context.
        """
