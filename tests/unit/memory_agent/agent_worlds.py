"""A small store with a belief that shares no word with the question, and models that do as a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from aspen import Aspen, Config, MemoryItem
from aspen.memory_agent import AgentMessage, AgentTurn, Tool, ToolCall, ToolRuntime
from aspen.memory_agent.tool_runtime import Budget
from aspen.testing.fake_model import FakeModel
from aspen.types import MemoryType, Relation, RelationType

QUESTION = "How do I handle creative burnout?"
ANSWER = "Life comes first."
TEXTS = {
    "spring": ("The doctor wrote creative burnout on the form that spring.", MemoryType.EPISODIC),
    "podcast": ("A podcast on how to handle burnout bored me.", MemoryType.EPISODIC),
    "pattern": ("Three releases in a row, and I stop sleeping.", MemoryType.PATTERN),
    "belief": ("Life first, and work gets what is left over.", MemoryType.BELIEF),
    "self": ("I draw slowly, one thing at a time.", MemoryType.SELF),
    "cat": ("Our cat is called Biscuit.", MemoryType.SEMANTIC),
    "boiler": ("The boiler makes a noise when it rains.", MemoryType.SEMANTIC),
    "peanuts": ("Peanuts make me ill, so no satay.", MemoryType.SEMANTIC),
    "lisbon": ("Mara moved to Lisbon last year.", MemoryType.EPISODIC),
    "clock": ("The flaky test was fixed by pinning the clock.", MemoryType.SEMANTIC),
    "bread": ("The phone lies in the bread bin after six.", MemoryType.SEMANTIC),
    "ferry": ("We missed the last ferry because of a sandcastle.", MemoryType.EPISODIC),
}
RELATIONS = (
    ("podcast", RelationType.SIMILAR_TO, "spring", 0.6),
    ("spring", RelationType.EXAMPLE_OF, "pattern", 0.9),
    ("pattern", RelationType.SUPPORTS, "belief", 0.8),
    ("belief", RelationType.DERIVED_FROM, "self", 0.3),
)


class World:
    """A filled store."""

    def __init__(self, aspen: Aspen) -> None:
        self.aspen = aspen
        items = [MemoryItem(text, "Runa", type=kind, source=name) for name, (text, kind) in TEXTS.items()]
        self.ids = dict(zip(TEXTS, (memory.id for memory in aspen.remember_many(items)), strict=True))
        aspen.relate_many(
            [Relation(self.ids[a], self.ids[b], kind, weight) for a, kind, b, weight in RELATIONS]
        )

    @classmethod
    def open(cls, config: Config, *, model: FakeModel | None = None, location: str = ":memory:") -> World:
        return cls(Aspen.open(location, model=model or FakeModel(), config=config))

    def runtime(self, *, question: str = QUESTION, **options: Any) -> ToolRuntime:
        """With a token a character."""
        options.setdefault("budget", Budget(result_tokens=4000))
        return ToolRuntime(self.aspen, question=question, count_tokens=len, **options)

    def name(self, memory_id: str) -> str:
        return next(name for name, id_ in self.ids.items() if id_ == memory_id)


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall("c", name, arguments)


Move = Callable[[Sequence[AgentMessage], Sequence[Tool]], Sequence[ToolCall]]


class Scripted:
    """An AgentModel that makes the calls of a script, and answers with a sentence."""

    name = "scripted"

    def __init__(
        self,
        *script: Sequence[ToolCall] | Move,
        answer: str = ANSWER,
        then: Sequence[ToolCall] | Move = (),
        tokens: int = 10,
    ) -> None:
        self._script = list(script)
        self._then = then  # when the script is over
        self._answer = answer
        self._tokens = tokens
        self.seen: list[tuple[list[AgentMessage], list[Tool], str, int]] = []

    def turn(
        self,
        messages: Sequence[AgentMessage],
        *,
        tools: Sequence[Tool],
        must: Literal["call", "answer", "either"],
        max_tokens: int,
        seed: int,
    ) -> AgentTurn:
        self.seen.append((list(messages), list(tools), must, seed))
        if must == "answer":
            return AgentTurn(self._answer, (), self._tokens, self._tokens, 0.0)
        move = self._script.pop(0) if self._script else self._then
        calls = move(messages, tools) if callable(move) else move
        number = sum(len(message.calls) for message in messages)
        numbered = tuple(
            ToolCall(f"call_{number + place}", one.name, one.arguments, one.problem)
            for place, one in enumerate(calls, start=1)
        )
        return AgentTurn("", numbered, self._tokens, self._tokens, 0.0)

    @property
    def prompts(self) -> list[str]:
        """What the last message of each turn said."""
        return [messages[-1].content for messages, *_ in self.seen]


def obedient(messages: Sequence[AgentMessage], tools: Sequence[Tool]) -> list[ToolCall]:
    """Does what the last message asks for: "Call TOOL with NAME: VALUE"."""
    _, _, rest = messages[-1].content.partition("Call ")
    name, _, told = rest.partition(" with ")
    arguments: dict[str, Any] = {}
    for part in told.split("; "):
        key, _, value = part.partition(": ")
        arguments[key] = value.split(", ") if key in ("ids", "seed_ids") else value
        if value == "true":
            arguments[key] = True
    return [call(name, **arguments)]
