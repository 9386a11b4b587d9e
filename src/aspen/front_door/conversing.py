"""Chatting with memory, and the traces of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from aspen.activation_db import decode_trace
from aspen.activation_logger import Recording, record
from aspen.front_door.recalling import Recalling
from aspen.front_door.summarising import Summarising
from aspen.memory_injector import (
    STRATEGIES,
    RecallFor,
    Strategy,
    StrategyName,
    WithoutMemory,
    fragments_of,
)
from aspen.models import KVFragment
from aspen.models.fingerprint import differences
from aspen.seed_manager import ReplayReport, choose_seed, replay
from aspen.turns import Reply, Turn, answer, checked_turn, history_of
from aspen.types import Memory, Provenance, Recall, SamplerSettings, Trace, TraceLevel
from aspen.validation import check_choice, check_kind


class Conversing(Recalling, Summarising):
    """What talks, records and replays."""

    def chat(
        self,
        message: str,
        *,
        conversation: str = "default",
        strategy: Strategy | StrategyName | str | None = None,
        seed: int | None = None,
        memory: bool = True,
        remember: bool = True,
        sampler: SamplerSettings | None = None,
        max_tokens: int = 256,
        note_tokens: int = 200,
        system: str | None = None,
        level: TraceLevel = TraceLevel.POOLED,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer `message`, feeding back what resonates with it, and remember the turn with its activations.

        PromptTooLong where the message leaves no room for a reply; if `remember`, also what `remember_many` raises.

        Parameters
        ----------
        conversation:
            Its last messages go before `message`, and the turn is stored in it.
        strategy:
            How memories are fed back: one of `StrategyName`, or a strategy with settings of your own such as
            `TwoPass(draft_tokens=16)`; `config.strategy` where None.
        seed:
            Of the sampler, in [0, 2**53 - 1]; drawn from the system's secure source where None. Either way it is in
            the reply.
        memory, remember:
            Whether to recall for this message, and whether to store the turn; then the memories that were fed back
            count as used together, too, unless `config.reinforce` is False (see `reinforce`).
        sampler:
            How tokens are drawn; `SamplerSettings()` where None.
        max_tokens:
            Most tokens of the reply, >= 1. At most half of the context is kept free for it.
        note_tokens:
            Most tokens that memories may take, >= 0; never more than a quarter of the context.
        system:
            A system prompt of your own; the model's default where None.
        level:
            How much of the activations the trace keeps.
        on_text:
            Called with each piece of the reply as it is generated.
        """
        turn = checked_turn(
            Turn(
                message,
                conversation,
                choose_seed(seed),
                sampler or SamplerSettings(),
                max_tokens,
                system,
                level,
                note_tokens,
                self.config.kv_check,
            )
        )
        chosen = self._strategy(strategy, memory=memory)
        if remember:
            self.engine.claim_store()
        history = history_of(self.engine, conversation)
        reply = answer(
            self.engine,
            turn,
            strategy=chosen,
            history=history,
            recall=self._recall_for(history),
            remember=remember,
            on_text=on_text,
        )
        if remember and reply.injection is not None:
            self._note_use(reply.injection.memory_ids)
        return reply

    def _strategy(self, asked: Strategy | StrategyName | str | None, *, memory: bool) -> Strategy:
        """A strategy by itself or by name, `config.strategy` where None; without `memory`, none at all."""
        if not isinstance(asked, Strategy):
            name = check_choice(asked or self.config.strategy, StrategyName, what="strategy")
            asked = STRATEGIES[name]
        return asked if memory else WithoutMemory()

    def _recall_for(self, history: Collection[Memory]) -> RecallFor:
        """How a strategy recalls for a reply after `history`."""

        def recall(prompt: str, *, tags: Collection[str] | None = None) -> Recall:
            # What the model itself said stays out: it would repeat its own mistakes as facts.
            said = (Provenance.SAID, Provenance.IMPORTED, Provenance.INFERRED)
            return self.recall(prompt, provenances=said, tags=tags, exclude=history)

        return recall

    def record(self) -> AbstractContextManager[Recording]:
        """Record the next session of `aspen.model` that is started inside the context, whatever code runs it."""
        return record(self.model)

    def trace(self, trace_id: str) -> Trace:
        """A stored trace, at the level it was kept. NotFound where there is none of this id."""
        check_kind(trace_id, str, what="trace_id")
        return decode_trace(self.repository.trace(trace_id))

    def replay(self, trace_id: str) -> ReplayReport:
        """Run a trace again, and say whether tokens and activations are the same bit for bit.

        NotFound: see `trace`; also where KV fragments that it used are gone, and made again come out otherwise.

        Where they cannot be the same, for the model or the machine is another, the report says so.
        """
        trace = self.trace(trace_id)
        return replay(self.model, trace, fragments=self.fragments(trace))

    def fragments(self, trace: Trace) -> dict[str, KVFragment]:
        """The KV fragments that a trace used, by digest; none where its fingerprint is another one's."""
        if differences(trace.fingerprint, self.model.fingerprint):
            return {}
        return fragments_of(trace, model=self.model, memories=self._memories_in(trace), shelf=self.engine)

    def _memories_in(self, trace: Trace) -> list[int]:
        """The seqs of the memories that a trace fed back, of those that are there."""
        fed_back = trace.injection.memory_ids if trace.injection else ()
        known = self.repository.known(fed_back)
        return [memory.seq for memory in self.repository.get([id_ for id_ in fed_back if id_ in known])]
