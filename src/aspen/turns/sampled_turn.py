"""One turn answered with several seeds: all candidates share one prefill, one is remembered, the others are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from aspen.activation_logger import record
from aspen.engine import Engine
from aspen.errors import NotFound
from aspen.memory_injector import RecallFor, Strategy
from aspen.models import Generation
from aspen.seed_manager import Comparison, Scores, compare_candidates, sample_after
from aspen.turns.situations import KeptRecall, Turn
from aspen.turns.turn import (
    Reply,
    encoded_trace,
    prepare,
    reply_of,
    shown_in,
    store,
    trace_of,
)
from aspen.types import Memory, Trace, TraceLevel

_MARK = "-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the replies. `trace_id` names its recording, None where nothing was stored; `tokens` were sampled."""

    seed: int
    text: str
    tokens: int
    finish_reason: str
    chosen: bool
    trace_id: str | None
    scores: Scores


@dataclass(frozen=True, slots=True)
class Sampled:
    """Replies with several seeds to one message: `reply` is the chosen one, as `chat` gives it.

    `candidates` stand in the order of the seeds. `diversity` is their mean pairwise distance in activation space, in
    [0, 2]; 0 where all mean the same.
    """

    reply: Reply
    candidates: tuple[Candidate, ...]
    diversity: float


def alternative_id(trace_id: str, number: int) -> str:
    """The id of the n-th alternative, n >= 1, to the reply of a trace."""
    return f"{trace_id}{_MARK}{number}"


def alternative_to(trace_id: str) -> str | None:
    """The id of the trace whose reply was chosen in place of this one; None where this one is no alternative."""
    chosen, mark, _ = trace_id.partition(_MARK)
    return chosen if mark else None


def answer_with_seeds(
    engine: Engine,
    turn: Turn,
    *,
    seeds: Sequence[int],
    strategy: Strategy,
    history: list[Memory],
    recall: RecallFor,
    remember: bool,
    on_candidate: Callable[[int, str], None] | None,
) -> Sampled:
    """Generate a reply with each seed, compare them, and store the turn with the chosen one if `remember`.

    The prompt is prepared once, with the first seed. `on_candidate` is called with each seed and its text.
    """
    said_at, model, kept = datetime.now(UTC), engine.model, KeptRecall(recall)
    turns = [replace(turn, seed=seed) for seed in seeds]
    generations: list[Generation] = []
    log_likelihoods: list[float] = []
    traces: list[Trace] = []
    with record(model) as recording:
        session = model.start_session()
        prepared = prepare(
            engine,
            turns[0],
            strategy=strategy,
            session=session,
            recording=recording,
            history=history,
            recall=kept,
        )
        length = session.length
        for each in turns:
            session.rewind(length)
            generation, log_likelihood = sample_after(
                model,
                session=session,
                prompt_ids=prepared.token_ids,
                logits=prepared.logits,
                settings=each.sampler,
                seed=each.seed,
                max_tokens=each.max_tokens,
                prefill_seconds=prepared.seconds,
            )
            trace = trace_of(
                engine, each, recording, generation=generation, prepared=prepared, said_at=said_at
            )
            if each.level is TraceLevel.POOLED:  # 70 KB a token, for each of the candidates, would add up
                trace = replace(trace, hidden_states=None)
            generations.append(generation)
            log_likelihoods.append(log_likelihood)
            traces.append(trace)
            if on_candidate is not None:
                on_candidate(each.seed, generation.text)
    comparison = compare_candidates(
        [generation.token_ids for generation in generations],
        [trace.pooled for trace in traces],
        log_likelihoods,
        empty=[not generation.text.strip() for generation in generations],
    )
    chosen = comparison.chosen
    memories: tuple[Memory, ...] = ()
    ids: list[str | None] = [None] * len(traces)
    if remember:
        shown = shown_in(prepared, history)
        memories = store(engine, turns[chosen], traces[chosen], shown=shown)
        ids = _store_alternatives(engine, traces, chosen=chosen, memories=memories, shown=shown)
    return Sampled(
        reply=reply_of(
            turns[chosen], prepared, generation=generations[chosen], recall=kept.last, memories=memories
        ),
        candidates=_candidates(turns, generations, comparison, ids),
        diversity=comparison.diversity,
    )


def _store_alternatives(
    engine: Engine, traces: Sequence[Trace], *, chosen: int, memories: tuple[Memory, ...], shown: list[str]
) -> list[str | None]:
    """Store the traces that were not chosen; ids of all, None for those that are not stored.

    Each mentions the turn and all that stood in its prompt, so that it is forgotten with them.
    """
    ids: list[str | None] = [None] * len(traces)
    ids[chosen] = memories[0].trace_id
    if ids[chosen] is None:  # a memory in the prompt was forgotten meanwhile, see `store`
        return ids
    mentions = [*(memory.id for memory in memories), *shown]
    others = [place for place in range(len(traces)) if place != chosen]
    for number, place in enumerate(others, start=1):
        trace = replace(traces[place], id=alternative_id(traces[chosen].id, number))
        try:
            engine.repository.add_trace(encoded_trace(trace, mentions=mentions))
        except NotFound:
            break  # forgotten since
        ids[place] = trace.id
    return ids


def _candidates(
    turns: Sequence[Turn],
    generations: Sequence[Generation],
    comparison: Comparison,
    ids: Sequence[str | None],
) -> tuple[Candidate, ...]:
    rows = zip(turns, generations, comparison.scores, ids, strict=True)
    return tuple(
        Candidate(
            seed=turn.seed,
            text=generation.text,
            tokens=int(np.size(generation.token_ids)),
            finish_reason=generation.finish_reason,
            chosen=place == comparison.chosen,
            trace_id=trace_id,
            scores=scores,
        )
        for place, (turn, generation, scores, trace_id) in enumerate(rows)
    )
