"""From a recording to a trace: one inference as it happened, ready to be stored and replayed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from aspen.activation_logger.attention import segment_tokens
from aspen.activation_logger.recorder import Recording
from aspen.errors import InvalidInput
from aspen.models.generation import Generation
from aspen.types import (
    Fingerprint,
    Injection,
    Pass,
    Role,
    SamplerSettings,
    Segment,
    TokenIds,
    Trace,
    TraceLevel,
)


def build_trace(
    recording: Recording,
    *,
    generation: Generation,
    prompt: str,
    segments: Sequence[Segment],
    seed: int,
    sampler: SamplerSettings,
    max_tokens: int,
    fingerprint: Fingerprint,
    level: TraceLevel,
    passes: Sequence[Pass] | None = None,
    injection: Injection | None = None,
    conversation: str | None = None,
    speaker: str | None = None,
    created_at: datetime | None = None,
) -> Trace:
    """A trace with a fresh id. It holds the exact activations; `level` says how much of them is stored.

    Parameters
    ----------
    recording:
        Of exactly the inference that made `generation`: the prompt brought into an empty session as `passes` say, then
        one token at a time, the last sampled token not fed.
    passes:
        One prefill of the whole prompt, where None.
    injection:
        How memories were fed back.
    segments:
        Named parts of the prompt, as for `segment_tokens`; `name_spans` makes them from a ChatPrompt.
    prompt:
        The rendered prompt as text; the tokens themselves come from the recording.
    created_at:
        With a time zone; now, where None.
    """
    token_ids, prompt_length = _joined(recording.token_ids, generation.token_ids)
    fed = len(token_ids) - 1
    return Trace(
        id=new_trace_id(),
        conversation=conversation,
        speaker=speaker,
        created_at=created_at or datetime.now(UTC),
        prompt=prompt,
        reply=generation.text,
        token_ids=token_ids,
        prompt_length=prompt_length,
        segments=segment_tokens(segments, length=fed, reply_start=prompt_length),
        seed=seed,
        sampler=sampler,
        max_tokens=max_tokens,
        finish_reason=generation.finish_reason,
        fingerprint=fingerprint,
        level=level,
        digest=recording.digest,
        state_digests=recording.state_digests,
        pooled=recording.pooled(prompt_length),
        attention=recording.attention_summary(segments, query_start=prompt_length),
        passes=tuple(passes) if passes is not None else (Pass(prompt_length),),
        injection=injection,
        hidden_states=recording.hidden_states,
    )


def name_spans(spans: Sequence[Segment], *, note: Segment | None = None) -> tuple[Segment, ...]:
    """Segments of a chat prompt from the spans of its messages, which are named by role.

    The last message is "user", system messages are "system", all others "history"; a "note" inside one of
    them counts as note.
    """
    names = ["system" if span.name == Role.SYSTEM else "history" for span in spans]
    if names:
        names[-1] = "user"
    named = [Segment(name=name, start=s.start, stop=s.stop) for name, s in zip(names, spans, strict=True)]
    if note is not None:
        named.append(Segment(name="note", start=note.start, stop=note.stop))
    return tuple(named)


def new_trace_id() -> str:
    """`t_` and 20 hex digits that sort by time of creation: 48 bits of milliseconds, then 32 random bits."""
    return f"t_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(4)}"


def _joined(fed: TokenIds, sampled: TokenIds) -> tuple[TokenIds, int]:
    """All tokens, and how many are the prompt's; InvalidInput where the two do not belong together."""
    prompt_length = len(fed) + 1 - len(sampled)
    if len(sampled) == 0 or prompt_length < 1 or not np.array_equal(fed[prompt_length:], sampled[:-1]):
        raise InvalidInput(
            f"The recording of {len(fed)} fed tokens is not of this generation of {len(sampled)} tokens.",
            hint="Record exactly one generation, in a session that was empty before.",
            fed=len(fed),
            sampled=len(sampled),
        )
    return np.concatenate([fed[:prompt_length], sampled]).astype(np.int32), prompt_length
