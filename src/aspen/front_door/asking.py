"""Asking: an agent finds the memories that a question needs, and answers from them."""

from __future__ import annotations

from aspen.front_door.conversing import Conversing
from aspen.memory_agent import AgentAnswer, AgentModel, Budget, LocalAgentModel, MemoryAgent, Orchestration
from aspen.memory_graph import DEFAULT_PRESET
from aspen.seed_manager import choose_seed
from aspen.validation import check_kind

_RESULT_TOKENS = 1000
"""Of one result that another model reads: the store's own reads less, for that takes time here."""
_NOTE_TOKENS = 500
"""Of the note that an answer is written from."""


class Asking(Conversing):
    """What answers questions from memories."""

    def ask(
        self,
        question: str,
        *,
        orchestration: Orchestration | str = Orchestration.TOOL,
        limit: int = 5,
        preset: str = DEFAULT_PRESET,
        seed: int | None = None,
        max_tokens: int = 160,
        budget: Budget | None = None,
        model: AgentModel | None = None,
        allow_writes: bool = False,
        reinforce: bool = True,
    ) -> AgentAnswer:
        """Let a model find what `question` needs, step by step with tools, and answer from it.

        Where the model does not get through the steps, a plan finishes them, and the answer says so. Errors and the
        other parameters: `aspen.memory_agent.MemoryAgent.ask`.

        Parameters
        ----------
        seed:
            Of the sampler; drawn from the system's secure source where None. Either way it is in the answer.
        budget:
            What the model may spend on finding memories: calls of tools, tokens, tokens of one result. Where None, 8
            calls and 16,000 tokens, and results as long as its context allows.
        model:
            The model that calls the tools and writes; the store's own where None. With a model behind an endpoint, what
            is found of the memories is sent there.
        allow_writes:
            Let the model store what it concludes, as inferred.
        reinforce:
            Count the memories in the answer's note as used together, as `chat` does, where the store can be written
            just now and unless `config.reinforce` is False. It may change what the same question finds next time.
        """
        check_kind(budget, Budget | None, what="budget")
        agent = self._local_agent(budget) if model is None else self._agent_of(model, budget)
        answer = agent.ask(
            question,
            orchestration=orchestration,
            limit=limit,
            preset=preset,
            seed=choose_seed(seed),
            max_tokens=max_tokens,
            allow_writes=allow_writes,
        )
        if reinforce:
            self._note_use([one.memory.id for one in answer.memories if one.noted])
        return answer

    def _agent_of(self, model: AgentModel, budget: Budget | None) -> MemoryAgent:
        default = Budget(result_tokens=_RESULT_TOKENS)
        return MemoryAgent(self, model, budget=budget or default, note_tokens=_NOTE_TOKENS)

    def _local_agent(self, budget: Budget | None) -> MemoryAgent:
        """An agent with the store's model: what it reads leaves most of its context free."""
        model, default = self.model, Budget()
        share = model.info.context_length // 4
        return MemoryAgent(
            self,
            LocalAgentModel(model),
            count_tokens=lambda text: len(model.tokenize(text)),
            budget=budget or Budget(result_tokens=min(default.result_tokens, share)),
            note_tokens=min(_NOTE_TOKENS, share),
        )
