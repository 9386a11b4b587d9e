"""Replay: run a trace's inference again, and say whether it is the same bit for bit.

A recorded inference is decided by the fingerprint, the prompt's tokens, the sampler's settings, the seed, and
by how the tokens were cut into forward passes, because floating-point sums depend on the shape of the batch. For the
prompt the trace says so (`passes`, and which KV fragments were put in between); the reply always came one token at a
time. Batch size is 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.codec import as_stored
from aspen.activation_logger.digest import cell_digests, first_difference, states_digest
from aspen.activation_logger.recorder import Recording, record
from aspen.errors import InvalidInput
from aspen.models.feeding import feed
from aspen.models.fingerprint import differences
from aspen.models.generation import Generation, sample_reply
from aspen.models.interface import LanguageModel, Session
from aspen.models.kv import KVFragment
from aspen.types import FloatArray, TokenIds, Trace, TraceLevel

_SETTINGS = {"runtime": "ASPEN_RUNTIME", "threads": "ASPEN_THREADS"}
"""Fields of the fingerprint that a person can set back."""


class Verdict(StrEnum):
    """What a replay found; the first that applies, in this order."""

    FINGERPRINT_DIFFERS = "fingerprint_differs"  # another model or environment: nothing can be verified
    TOKENS_DIFFER = "tokens_differ"
    ACTIVATIONS_DIFFER = "activations_differ"
    VERIFIED = "verified"  # same tokens, bit-equal activations


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field of the fingerprint, as it was recorded and as it is now."""

    field: str
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class TokenDifference:
    """The first sampled token that differs. `position` counts from the prompt's first token.

    Id and text are None where one of the two replies had ended before.
    """

    position: int
    recorded_id: int | None
    recorded_text: str | None
    now_id: int | None
    now_text: str | None


@dataclass(frozen=True, slots=True)
class ActivationDifference:
    """The first token whose activations differ, and its lowest such layer (0 is the embedding).

    `token` and `layer` are None where only the SHA-256, the pooled vectors or the number of layers differ.
    `stored` is True where the replay equals the recorded digests, but what the trace keeps beside them, whole
    activations or pooled ones, was made of other activations.
    """

    token: int | None
    token_text: str | None
    layer: int | None
    stored: bool = False


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. `reply` is the text of the new run, None where it was not run."""

    trace_id: str
    seed: int
    verdict: Verdict
    fingerprint: tuple[FieldDifference, ...] = ()
    tokens: TokenDifference | None = None
    activations: ActivationDifference | None = None
    reply: str | None = None

    @property
    def verified(self) -> bool:
        """True only if fingerprint, tokens and activations are all the same."""
        return self.verdict is Verdict.VERIFIED

    def explain(self) -> str:
        """The finding in one sentence."""
        if self.fingerprint:
            found = _fields_found(self.fingerprint)
            if self.reply is not None:
                return f"{found}; run anyway, {self._run_found()}."
            return f"{found}; it was not run again."
        if self.verdict is Verdict.VERIFIED:
            return f"verified: with seed {self.seed}, {self._run_found()}."
        return f"{self._run_found()}."

    def _run_found(self) -> str:
        if self.tokens is not None:
            was = _shown(self.tokens.recorded_id, self.tokens.recorded_text)
            now = _shown(self.tokens.now_id, self.tokens.now_text)
            return f"tokens differ first at position {self.tokens.position}: was {was}, is {now}"
        if self.activations is None:
            return "the same tokens and bit-equal activations came out"
        what = (
            "stored activations are not those recorded" if self.activations.stored else "activations differ"
        )
        if self.activations.token is None:
            return f"tokens are the same, {what}"
        return (
            f"tokens are the same, {what}, first at token {self.activations.token} "
            f"({self.activations.token_text!r}), layer {self.activations.layer}"
        )


def replay(
    model: LanguageModel,
    trace: Trace,
    *,
    fragments: Mapping[str, KVFragment] | None = None,
    despite_fingerprint: bool = False,
) -> ReplayReport:
    """Run the inference of `trace` again on `model` and compare. `fragments` has the KV fragments it used, by digest.

    Fingerprints are compared first. Where they differ the model is not run, unless `despite_fingerprint` asks
    for it: the report then says what came out, but its verdict stays `fingerprint_differs`.
    """
    fields = _fingerprint_differences(model, trace)
    if fields and not despite_fingerprint:
        return ReplayReport(
            trace_id=trace.id, seed=trace.seed, verdict=Verdict.FINGERPRINT_DIFFERS, fingerprint=fields
        )
    with record(model) as recording:
        generation = run_again(model, trace, session=model.start_session(), fragments=fragments)
    return compare(model, trace, generation=generation, recording=recording)


def _fingerprint_differences(model: LanguageModel, trace: Trace) -> tuple[FieldDifference, ...]:
    """The fields in which a model is another than the one that `trace` was recorded with."""
    return tuple(
        FieldDifference(field=field, recorded=was, now=now)
        for field, was, now in differences(trace.fingerprint, model.fingerprint)
    )


def explain_fingerprint(model: LanguageModel, trace: Trace) -> str:
    """In which field a model is another than the one that `trace` was recorded with, in words; empty if in none."""
    fields = _fingerprint_differences(model, trace)
    return _fields_found(fields) if fields else ""


def compare(
    model: LanguageModel, trace: Trace, *, generation: Generation, recording: Recording
) -> ReplayReport:
    """What `run_again` brought, held against the trace. The recording may go on afterwards."""
    fields = _fingerprint_differences(model, trace)
    tokens = _token_difference(model, trace=trace, now=generation.token_ids)
    # After a token that differs everything differs: the activations would name nothing new.
    activations = None if tokens else _activation_difference(model, trace=trace, recording=recording)
    if fields:
        verdict = Verdict.FINGERPRINT_DIFFERS
    elif tokens:
        verdict = Verdict.TOKENS_DIFFER
    elif activations:
        verdict = Verdict.ACTIVATIONS_DIFFER
    else:
        verdict = Verdict.VERIFIED
    return ReplayReport(
        trace_id=trace.id,
        seed=trace.seed,
        verdict=verdict,
        fingerprint=fields,
        tokens=tokens,
        activations=activations,
        reply=generation.text,
    )


def run_again(
    model: LanguageModel,
    trace: Trace,
    *,
    session: Session,
    fragments: Mapping[str, KVFragment] | None = None,
) -> Generation:
    """Feed the prompt of `trace` as it was fed to an empty session, and sample its reply with its seed.

    The session then stands where it stood: behind all tokens but the last one that was sampled. InvalidInput where the
    model does not have the prompt's tokens, or a KV fragment is not there.
    """
    prompt_ids = trace.token_ids[: trace.prompt_length]
    vocabulary = model.info.vocab_size
    if len(prompt_ids) == 0 or not 0 <= prompt_ids.min() <= prompt_ids.max() < vocabulary:
        raise InvalidInput(
            f"The trace's prompt has tokens outside this model's vocabulary of {vocabulary}.",
            hint="Replay it with the model that recorded it.",
        )
    started = time.perf_counter()
    logits = feed(session, prompt_ids, passes=trace.passes, fragments=fragments)
    return sample_reply(
        model,
        session=session,
        prompt_ids=prompt_ids,
        logits=logits,
        prefill_seconds=time.perf_counter() - started,
        settings=trace.sampler,
        seed=trace.seed,
        max_tokens=trace.max_tokens,
    )


def _token_difference(model: LanguageModel, *, trace: Trace, now: TokenIds) -> TokenDifference | None:
    recorded = trace.token_ids[trace.prompt_length :]
    common = min(len(recorded), len(now))
    differing = np.flatnonzero(recorded[:common] != now[:common])
    if len(differing) == 0 and len(recorded) == len(now):
        return None
    at = int(differing[0]) if len(differing) else common
    recorded_id = int(recorded[at]) if at < len(recorded) else None
    now_id = int(now[at]) if at < len(now) else None
    return TokenDifference(
        position=trace.prompt_length + at,
        recorded_id=recorded_id,
        recorded_text=_text_of(model, recorded_id),
        now_id=now_id,
        now_text=_text_of(model, now_id),
    )


def _activation_difference(
    model: LanguageModel, *, trace: Trace, recording: Recording
) -> ActivationDifference | None:
    now = recording.hidden_states
    place = _first_place(trace.state_digests, cell_digests(now))
    if place or states_digest(now) != trace.digest:
        return _named(model, trace=trace, place=place, stored=False)
    # The run is the one that was recorded. Is what the trace keeps of it, too?
    kept = trace.hidden_states
    if kept is not None and not _is_kept(kept, now, level=trace.level):
        place = _first_place(cell_digests(kept), cell_digests(as_stored(now, level=trace.level)))
        return _named(model, trace=trace, place=place, stored=True)
    pooled = recording.pooled(trace.prompt_length)
    recorded, again = (np.stack([p.prompt, p.reply], axis=1) for p in (trace.pooled, pooled))
    if not _is_kept(recorded, again, level=TraceLevel.POOLED):
        return _named(model, trace=trace, place=None, stored=True)
    return None


def _first_place(recorded: NDArray[np.uint32], now: NDArray[np.uint32]) -> tuple[int, int] | None:
    """`first_difference`, or None where the numbers of layers differ as well."""
    return first_difference(recorded, now) if len(recorded) == len(now) else None


def _is_kept(kept: FloatArray, exact: FloatArray, *, level: TraceLevel) -> bool:
    """Whether `kept` is `exact` itself (a trace fresh from its recording) or what `level` makes of it."""
    return np.array_equal(kept, exact) or np.array_equal(kept, as_stored(exact, level=level))


def _named(
    model: LanguageModel, *, trace: Trace, place: tuple[int, int] | None, stored: bool
) -> ActivationDifference:
    if place is None:
        return ActivationDifference(token=None, token_text=None, layer=None, stored=stored)
    layer, token = place
    text = _text_of(model, int(trace.token_ids[token]))
    return ActivationDifference(token=token, token_text=text, layer=layer, stored=stored)


def _text_of(model: LanguageModel, token_id: int | None) -> str | None:
    if token_id is None or not 0 <= token_id < model.info.vocab_size:
        return None
    return model.detokenize(np.array([token_id], dtype=np.int32), skip_special=False)


def _fields_found(fields: Sequence[FieldDifference]) -> str:
    # Other weights say most. The same ones in another runtime differ in ten fields, and the runtime explains them all.
    named = {one.field: one for one in fields}
    first, more = named.get("weights") or named.get("runtime") or fields[0], len(fields) - 1
    beside = [f"and {more} more field{'s' if more > 1 else ''}"] if more else []
    settings = [f"{name}={named[field].recorded}" for field, name in _SETTINGS.items() if field in named]
    if settings and "weights" not in named:
        beside.append(f"set {' '.join(settings)} to replay it")
    found = f"fingerprint differs: {first.field} was {_short(first.recorded)}, is {_short(first.now)}"
    return f"{found} ({'; '.join(beside)})" if beside else found


def _shown(token_id: int | None, text: str | None) -> str:
    return "the end of the reply" if token_id is None else f"{token_id} ({text!r})"


def _short(value: str) -> str:
    """Hashes are told apart by their beginning."""
    return f"{value[:12]}..." if len(value) == 64 else value
