"""Seed replay: an old inference is run again with its seed, and the conversation goes on from the state it left.

What is recalled leads to a trace. Its prompt is fed as it was fed then, its reply is sampled again with its seed, and
tokens and activations are held against the trace. The KV cache is then the one that the model had when it had answered:
nothing of it is retold. Behind it come what the chat template puts between a reply and the next message, what was said
in this conversation so far, and the message. So the new prompt begins with the old prompt and reply, in the passes in
which they ran: the new trace replays by itself, and can be gone on from again.

It costs the old prefill and a decoding step for each token of the old reply.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from aspen.activation_logger import name_spans
from aspen.errors import ModelError, NoChatTemplate, NotFound, TraceCorrupt, TraceVersionError
from aspen.memory_injector.fragments import fragments_of
from aspen.memory_injector.interface import Prepared, Situation, StrategyName, TraceMemories
from aspen.memory_injector.note import FLOOR, prepare_note
from aspen.memory_injector.prompt import as_message, joined
from aspen.models import KVFragment, LanguageModel, feed
from aspen.seed_manager import compare, explain_fingerprint, run_again
from aspen.types import Injection, Message, Pass, Role, Segment, TokenIds, Trace

_REPLIES = ("Yes.", "as of 7")
"""Where what follows a reply is the same tokens after both, it hangs on no reply."""


@dataclass(frozen=True)
class Continuation:
    """A trace that can be run again here, and what comes behind its reply.

    tail: int32 [n], from the end of the reply to the beginning of the next one; spans: its messages, as segments of the
    tail; dropped: older messages of this conversation that are left out; fragments: the KV fragments of the old prompt,
    by digest.
    """

    trace: Trace
    memories: TraceMemories
    tail: TokenIds
    spans: tuple[Segment, ...]
    dropped: int
    fragments: Mapping[str, KVFragment] = field(repr=False)

    @property
    def state_tokens(self) -> int:
        """Tokens of the old prompt and reply, without a stop token: that is the template's affair."""
        return len(self._state)

    @property
    def token_ids(self) -> TokenIds:
        """The whole prompt, int32 [P]."""
        return np.concatenate([self._state, self.tail])

    @property
    def _state(self) -> TokenIds:
        trace = self.trace
        return trace.token_ids[:-1] if trace.finish_reason == "stop" else trace.token_ids


class SeedReplay:
    """Runs the trace of the best hit again, and goes on from there; the note, where there is none to be verified."""

    reads_recording: Literal[True] = True

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`. The budget of a note does not bound what is replayed, the context does; but 0 is none."""
        asked = StrategyName.SEED_REPLAY
        if situation.budget == 0:
            return prepare_note(situation, asked=asked, reason="no tokens are left to memories")
        found = find_replayable(situation)
        if isinstance(found, str):
            return prepare_note(situation, asked=asked, reason=found)
        prepared = _gone_on(situation, found)
        if isinstance(prepared, str):
            situation.session.rewind(0)
            return prepare_note(situation, asked=asked, reason=prepared)
        return prepared


def find_replayable(situation: Situation) -> Continuation | str:
    """The trace of the best hit that can be run again and gone on from; or why that of the best hit cannot."""
    obstacle = ""
    for trace_id in _recalled_traces(situation):
        found = _continuation(situation, trace_id)
        if not isinstance(found, str):
            return found
        obstacle = obstacle or found
    return obstacle or "nothing that was recalled comes from a trace"


def _recalled_traces(situation: Situation) -> Iterator[str]:
    """Traces of what was recalled, each once, best first; of hits as good as those that make it into a note."""
    hits = [hit for hit in situation.recall(situation.message).hits if hit.corrected_by is None]
    best = max((hit.score for hit in hits), default=0.0)
    good = (hit.memory.trace_id for hit in hits if hit.score >= max(FLOOR * best, 0.0))
    return iter(dict.fromkeys(id_ for id_ in good if id_ is not None))


def _continuation(situation: Situation, trace_id: str) -> Continuation | str:
    try:
        trace, memories = situation.trace(trace_id), situation.trace_memories(trace_id)
    except NotFound:
        return f"the trace {trace_id} was forgotten meanwhile"
    except (TraceCorrupt, TraceVersionError) as error:
        return f"the trace {trace_id} cannot be read: {error.message}"
    if obstacle := _obstacle(situation, trace, memories):
        return obstacle
    try:
        fragments = fragments_of(
            trace, model=situation.model, memories=memories.seqs, shelf=situation.fragments
        )
    except NotFound as error:
        return f"the trace {trace_id} cannot be run again: {error.message}"
    return _with_tail(situation, trace, memories, fragments=fragments)


def _obstacle(situation: Situation, trace: Trace, memories: TraceMemories) -> str:
    """Why a trace must not be gone on from, whatever comes behind it; empty if it may."""
    if problem := explain_fingerprint(situation.model, trace):
        return f"the trace {trace.id} cannot be run again: {problem}"
    if memories.corrected:
        return f"what stands in the trace {trace.id} was corrected since"
    if situation.system is not None and situation.system not in trace.prompt:
        return f"the trace {trace.id} does not have this system prompt"
    return ""


def _with_tail(
    situation: Situation, trace: Trace, memories: TraceMemories, *, fragments: Mapping[str, KVFragment]
) -> Continuation | str:
    """With as much of this conversation as fits behind the reply, from its last message on."""
    turns = [as_message(memory) for memory in situation.history]
    limit = situation.model.info.context_length - situation.reserve
    for dropped in range(len(turns) + 1):
        if dropped < len(turns) and turns[dropped].role is Role.ASSISTANT:
            continue
        behind = _behind_reply(situation.model, joined(turns[dropped:], situation.message))
        if isinstance(behind, str):
            return behind
        found = Continuation(trace, memories, *behind, dropped=dropped, fragments=fragments)
        if len(found.token_ids) <= limit:
            return found
    return (
        f"the trace {trace.id} is too long to go on from: {len(found.token_ids)} tokens with the message, "
        f"the model takes {limit} beside {situation.reserve} for the reply"
    )


def _behind_reply(model: LanguageModel, turns: list[Message]) -> tuple[TokenIds, tuple[Segment, ...]] | str:
    """What the chat template writes from the end of a reply on, where `turns` come next, and their places in it."""
    tails = []
    for reply in _REPLIES:
        try:
            chat = model.apply_chat_template(
                [Message(Role.USER, "Is it so?"), Message(Role.ASSISTANT, reply), *turns]
            )
        except NoChatTemplate:
            raise
        except ModelError as error:
            return f"the chat template lets nothing follow a reply: {error.message}"
        stop = chat.spans[-len(turns) - 1].stop
        tails.append(chat.token_ids[stop:])
    if not np.array_equal(tails[0], tails[1]):
        return "the chat template's tokens behind a reply depend on the reply"
    spans = tuple(
        Segment(span.name, span.start - stop, span.stop - stop) for span in chat.spans[-len(turns) :]
    )
    return tails[-1], spans


def _gone_on(situation: Situation, found: Continuation) -> Prepared | str:
    """The replay and what follows it, in the session; or what differs from the trace."""
    model, session, trace = situation.model, situation.session, found.trace
    if situation.recording is None:
        return "nothing is recorded that could be held against the trace"
    started = time.perf_counter()
    generation = run_again(model, trace, session=session, fragments=found.fragments)
    report = compare(model, trace, generation=generation, recording=situation.recording)
    if not report.verified:
        return f"the replay of {trace.id} is not what was recorded: {report.explain()}"
    replayed = time.perf_counter() - started
    token_ids = found.token_ids
    rest = token_ids[session.length :]
    passes = (*trace.passes, *[Pass(1)] * (session.length - trace.prompt_length), Pass(len(rest)))
    logits = feed(session, rest, passes=passes[-1:])
    begin = found.state_tokens
    behind = [Segment(span.name, span.start + begin, span.stop + begin) for span in found.spans]
    return Prepared(
        text=trace.prompt + model.detokenize(token_ids[trace.prompt_length :], skip_special=False),
        token_ids=token_ids,
        segments=(Segment("replay", 0, begin), *name_spans(behind)),
        logits=logits,
        passes=passes,
        note=None,
        dropped=found.dropped,
        injection=Injection(
            strategy=StrategyName.SEED_REPLAY,
            asked=StrategyName.SEED_REPLAY,
            reason=f"goes on from {trace.id}, {report.explain().rstrip('.')}",
            memory_ids=found.memories.ids,
            trace_ids=(trace.id,),
            tokens=begin,
            figures={"replayed_tokens": float(begin), "replay_seconds": replayed},
        ),
        seconds=time.perf_counter() - started,
    )
