"""What recorded seeds are good for: another try at a turn, a turn with one thing changed, a whole session again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from aspen.activation_db import decode_trace
from aspen.activation_logger import Recording
from aspen.errors import InvalidInput, NotFound
from aspen.front_door.conversing import Conversing
from aspen.memory_injector import Prepared, Situation, Strategy, StrategyName
from aspen.memory_injector.framing import OPENING, as_data, framed
from aspen.models import Session
from aspen.seed_manager import (
    Difference,
    Edit,
    EditedRun,
    ReplayReport,
    apply_edit,
    choose_seeds,
    compare_runs,
    recorded_run,
    segment_text,
)
from aspen.turns import (
    USER,
    Sampled,
    alternative_id,
    alternative_to,
    answer_with_seeds,
    history_of,
    situation_of,
)
from aspen.types import FloatArray, Memory, Recall, SamplerSettings, TokenIds, Trace, TraceLevel
from aspen.validation import check_name, check_text

SAMPLING = SamplerSettings(temperature=0.7, top_p=0.95)
"""How candidates are drawn: at the low temperature of a chat they would hardly differ."""
_MOST_TRACES = 10_000


class Replaying(Conversing):
    """What samples, edits and replays."""

    def sample(
        self,
        message: str,
        *,
        seeds: int | Sequence[int] = 8,
        conversation: str = "default",
        strategy: StrategyName | str | None = None,
        memory: bool = True,
        remember: bool = True,
        sampler: SamplerSettings | None = None,
        max_tokens: int = 256,
        note_tokens: int = 200,
        system: str | None = None,
        level: TraceLevel = TraceLevel.POOLED,
        on_candidate: Callable[[int, str], None] | None = None,
    ) -> Sampled:
        """Answer `message` once with each seed, after one prefill, and remember the best reply; the others are kept.

        The best is the likeliest one that agrees most with the others (see `aspen.seed_manager.sampling`). It becomes a
        turn as `chat` stores it; the others are alternatives to its trace (see `alternatives`), and each replays by
        itself. Raises as `chat` does.

        Parameters
        ----------
        seeds:
            How many, each drawn from the system's secure source, or the seeds themselves: 2 to 64 different ones.
        sampler:
            How tokens are drawn; temperature 0.7 and top_p 0.95 where None. InvalidInput at temperature 0.
        level:
            Above "pooled", all activations of every candidate are held at once: some 70 KB a token.
        on_candidate:
            Called with each seed and its text as it is done.

        The other parameters: see `chat`.
        """
        chosen = choose_seeds(seeds)
        turn = self._turn(
            message,
            conversation=conversation,
            seed=chosen[0],
            sampler=sampler or SAMPLING,
            max_tokens=max_tokens,
            system=system,
            level=level,
            note_tokens=note_tokens,
        )
        if turn.sampler.temperature == 0:
            raise InvalidInput(
                "At temperature 0 every seed gives the same reply.", hint="Take a temperature above 0."
            )
        fed_back_by = self._strategy(strategy, memory=memory)
        if remember:
            self.engine.claim_store()
        history = history_of(self.engine, conversation)
        sampled = answer_with_seeds(
            self.engine,
            turn,
            seeds=chosen,
            strategy=fed_back_by,
            history=history,
            recall=self._recall_for(history),
            remember=remember,
            on_candidate=on_candidate,
        )
        if remember and sampled.reply.injection is not None:
            self._note_use(sampled.reply.injection.memory_ids)
        return sampled

    def alternatives(self, trace_id: str) -> list[Trace]:
        """The traces of the replies that were not chosen in place of this one, in the order of their seeds.

        Empty where there are none; NotFound where there is no trace of this id.
        """
        self.trace(trace_id)
        found: list[Trace] = []
        while True:
            try:
                body = self.repository.trace(alternative_id(trace_id, len(found) + 1))
            except NotFound:
                return found
            found.append(decode_trace(body))

    def what_if(
        self,
        trace_id: str,
        *,
        message: str | None = None,
        note: str | None = None,
        seed: int | None = None,
        temperature: float | None = None,
        strategy: StrategyName | str | None = None,
        note_tokens: int = 200,
    ) -> Difference:
        """Run a trace again beside a run with one small change, and say where they part. Nothing is stored.

        NotFound: see `trace`. InvalidInput where nothing is changed, or what is to be changed is not there.

        Parameters
        ----------
        message:
            What the user says instead.
        note:
            Another memory note, one memory a line; it is framed as notes are. "" takes the note out.
        seed, temperature:
            Of the sampler.
        strategy:
            Feed memories back in another way, with what the store knew before the turn: recall is run anew, so that the
            prompt may differ in more than the memories. `note_tokens` bounds them as in `chat`.
        """
        if message is not None:
            check_text(message, what="message")
        if note:
            note = _as_note(check_text(note, what="note"))
        trace = self.trace(trace_id)
        if strategy is None:
            edited = apply_edit(
                self.model, trace, Edit(message=message, note=note, seed=seed, temperature=temperature)
            )
            return compare_runs(self.model, trace, edited, fragments=self.fragments(trace))
        if note is not None:
            raise InvalidInput(
                "A strategy writes what goes before the model itself.",
                hint="Give either a note or a strategy.",
            )
        edit = Edit(seed=seed, temperature=temperature)
        run = recorded_run(trace) if edit == Edit() else apply_edit(self.model, trace, edit)
        chosen = self._strategy(strategy, memory=True)
        return self._with_strategy(trace, run, strategy=chosen, message=message, note_tokens=note_tokens)

    def _with_strategy(
        self, trace: Trace, run: EditedRun, *, strategy: Strategy, message: str | None, note_tokens: int
    ) -> Difference:
        said = self._said(trace)
        turn = self._turn(
            message or said.text,
            conversation=said.conversation or "default",
            seed=run.seed,
            sampler=run.sampler,
            max_tokens=run.max_tokens,
            system=segment_text(self.model, trace, "system").strip() or None,
            level=trace.level,
            note_tokens=note_tokens,
        )
        history = history_of(self.engine, turn.conversation, before=said.seq)
        recall_now = self._recall_for(history)
        prepared: list[Prepared] = []

        def recall(prompt: str, *, tags: Collection[str] | None = None) -> Recall:
            found = recall_now(prompt, tags=tags)
            return replace(found, hits=tuple(hit for hit in found.hits if hit.memory.seq < said.seq))

        def prepare(session: Session, recording: Recording) -> tuple[TokenIds, FloatArray]:
            situation: Situation = situation_of(
                self.engine, turn, session=session, recording=recording, history=history, recall=recall
            )
            prepared.append(strategy.prepare(situation))
            return prepared[-1].token_ids, prepared[-1].logits

        difference = compare_runs(self.model, trace, run, fragments=self.fragments(trace), prepare=prepare)
        was, now = trace.injection, prepared[-1].injection
        names = [one.strategy if one else "no memory" for one in (was, now)]
        told = f"strategy {names[0]} -> {names[1]}" + (f" ({now.reason})" if now and now.reason else "")
        changed = (*(("message",) if message else ()), told, *difference.changed)
        return replace(difference, changed=changed)

    def _said(self, trace: Trace) -> Memory:
        """What the user said in the turn of a trace; NotFound where that was forgotten or never stored."""
        turn = self.repository.from_traces([alternative_to(trace.id) or trace.id])
        said = next((memory for memory in turn if memory.speaker == USER), None)
        if said is None:
            raise NotFound(
                f"What was said in the turn of trace {trace.id} is not stored, so it cannot be asked anew.",
                hint="Edit the recorded prompt instead: a message, a note, a seed or a temperature.",
            )
        return said

    def replay_conversation(
        self,
        conversation: str,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> list[ReplayReport]:
        """Replay every turn of a conversation that has a trace, oldest first; see `replay`.

        `progress` is called with the number of turns done and of all. NotFound where no turn has a trace. Replies that
        were not chosen are no turns.
        """
        check_name(check_text(conversation, what="conversation"), what="conversation")
        infos = self.repository.traces(conversation=conversation, limit=_MOST_TRACES)[::-1]
        turns = [info.id for info in infos if alternative_to(info.id) is None]
        if not turns:
            raise NotFound(
                f"No turn of conversation {conversation!r} has a trace.",
                hint="The list of traces (`aspen traces`) shows what was recorded, and of which conversations.",
            )
        reports = []
        for done, trace_id in enumerate(turns, start=1):
            reports.append(self.replay(trace_id))
            progress(done, len(turns))
        return reports


def _as_note(text: str) -> str:
    """A note around lines of memories; one that is framed already stays as it is."""
    if text.startswith(OPENING):
        return text
    return framed([f"- {as_data(line.lstrip(' -'))}" for line in text.splitlines() if line.strip()])
