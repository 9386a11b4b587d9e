"""Generating a reply: prefill, then one token at a time, with text streamed as soon as it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aspen.errors import InvalidInput, PromptTooLong
from aspen.models.grammar import JsonGrammar, JsonState
from aspen.models.interface import LanguageModel, Session
from aspen.models.sampling import Sampler
from aspen.types import FloatArray, SamplerSettings, TokenIds

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model said.

    token_ids: int32 [N], every sampled token, the stop token included where one was drawn; the last one was
    never fed back to the model. `text` leaves the stop token out. `finish_reason` is "stop" (a stop token was
    drawn, or what the constraint asks for is complete) or "length" (`max_tokens` or the end of the context).
    Times are in seconds.
    """

    token_ids: TokenIds
    text: str
    finish_reason: str
    prefill_seconds: float
    decode_seconds: float


def generate(
    model: LanguageModel,
    *,
    session: Session,
    prompt_ids: TokenIds,
    settings: SamplerSettings,
    seed: int,
    max_tokens: int,
    on_text: Callable[[str], None] | None = None,
    constraint: JsonGrammar | None = None,
) -> Generation:
    """Feed `prompt_ids` (int32 [P]) to the session and sample up to `max_tokens` tokens after them.

    This is `prefill`, then `sample_reply`.

    `on_text` gets the text piece by piece, each piece ending on a whole character; the pieces together are
    the text. `max_tokens` is cut to what the context still holds. With a `constraint`, the text follows its
    grammar: it is whole unless `finish_reason` is "length". A token that is the only one allowed is taken without a
    draw.

    Raises PromptTooLong where the context holds nothing beyond the prompt, InvalidInput on an empty prompt, an
    impossible setting or a constraint for another vocabulary, before the session is touched.
    """
    if len(prompt_ids) == 0:
        raise InvalidInput("The prompt is empty: at least one token is needed.")
    _check(model, session.length + len(prompt_ids), max_tokens=max_tokens, constraint=constraint)
    Sampler(settings, seed=seed)  # refuses what is impossible before the session is touched
    started = time.perf_counter()
    logits = session.prefill(prompt_ids)
    return sample_reply(
        model,
        session=session,
        prompt_ids=prompt_ids,
        logits=logits,
        settings=settings,
        seed=seed,
        max_tokens=max_tokens,
        on_text=on_text,
        constraint=constraint,
        prefill_seconds=time.perf_counter() - started,
    )


def sample_reply(
    model: LanguageModel,
    *,
    session: Session,
    prompt_ids: TokenIds,
    logits: FloatArray,
    settings: SamplerSettings,
    seed: int,
    max_tokens: int,
    on_text: Callable[[str], None] | None = None,
    on_draw: Callable[[int, FloatArray], None] | None = None,
    constraint: JsonGrammar | None = None,
    prefill_seconds: float = 0.0,
) -> Generation:
    """Sample after a prompt that the session holds already, however it came there. Raises as `generate` does.

    `prompt_ids` are what the repetition penalty counts as said; `logits`, float32 [V], those after the last token.
    `on_draw` gets each sampled token with the model's own logits, float32 [V], that it was drawn from.
    """
    _check(model, session.length, max_tokens=max_tokens, constraint=constraint)
    sampler = Sampler(settings, seed=seed)
    sampler.observe(prompt_ids)
    limit = min(max_tokens, model.info.context_length - session.length)
    stream = _TextStream(model, on_text=on_text)
    stop_ids = model.info.stop_ids
    place = constraint.start() if constraint is not None else None
    sampled: list[int] = []
    finish_reason = "length"

    started = time.perf_counter()
    while True:
        token = sampler.draw(logits) if place is None else _draw_allowed(sampler, logits, place=place)
        sampled.append(token)
        if on_draw is not None:
            on_draw(token, logits)
        if token in stop_ids:
            finish_reason = "stop"
            break
        stream.feed(token)
        if place is not None:
            place.advance(token)
            if place.is_complete:
                finish_reason = "stop"
                break
        if len(sampled) == limit:
            break
        logits = session.decode(token)
    text = stream.finish()
    return Generation(
        token_ids=np.asarray(sampled, dtype=np.int32),
        text=text,
        finish_reason=finish_reason,
        prefill_seconds=prefill_seconds,
        decode_seconds=time.perf_counter() - started,
    )


def _draw_allowed(sampler: Sampler, logits: FloatArray, *, place: JsonState) -> int:
    """The next token among those that the grammar allows. `logits` float32 [V]."""
    allowed = place.allowed()
    ids = np.flatnonzero(allowed)
    if len(ids) > 1:
        return sampler.draw(np.where(allowed, logits, np.float32(-np.inf)))
    forced = int(ids[0])
    sampler.observe([forced])
    return forced


def _check(model: LanguageModel, length: int, *, max_tokens: int, constraint: JsonGrammar | None) -> None:
    """Raise where a reply cannot follow `length` tokens under these conditions."""
    context = model.info.context_length
    if length >= context:
        raise PromptTooLong(
            f"The prompt has {length} tokens and leaves no room for a reply in a context of {context}.",
            hint="Shorten the message or the system prompt, or take a model with a longer context.",
            prompt_tokens=length,
            context_length=context,
        )
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise InvalidInput(f"max_tokens must be an integer >= 1, not {max_tokens!r}.")
    if constraint is not None and constraint.vocab_size != model.info.vocab_size:
        raise InvalidInput(
            f"The constraint is for a vocabulary of {constraint.vocab_size} tokens, not {model.info.vocab_size}.",
            hint="Compile it for this model.",
        )


class _TextStream:
    """Turns token ids into text pieces, held back while their last character is incomplete."""

    def __init__(self, model: LanguageModel, *, on_text: Callable[[str], None] | None) -> None:
        self._model = model
        self._on_text = on_text
        self._ids: list[int] = []
        # Only the tokens since `_start` are decoded again at each step: the text of those before `_done` has
        # gone out, the few between give the next token its left context (leading spaces depend on it).
        self._start = 0
        self._done = 0
        self._pieces: list[str] = []

    def feed(self, token: int) -> None:
        self._ids.append(token)
        before = self._decode(self._ids[self._start : self._done])
        text = self._decode(self._ids[self._start :])
        if len(text) <= len(before) or text.endswith(_REPLACEMENT) or not text.startswith(before):
            return
        self._emit(text[len(before) :])
        self._start, self._done = self._done, len(self._ids)

    def finish(self) -> str:
        """The whole text, after sending what was held back."""
        sent = "".join(self._pieces)
        whole = self._decode(self._ids)
        if whole.startswith(sent):
            if len(whole) > len(sent):
                self._emit(whole[len(sent) :])
            return whole
        # A tokenizer whose text depends on far-off tokens: what was streamed is what was said.
        return sent

    def _decode(self, ids: list[int]) -> str:
        return self._model.detokenize(np.asarray(ids, dtype=np.int32)) if ids else ""

    def _emit(self, piece: str) -> None:
        self._pieces.append(piece)
        if self._on_text is not None:
            self._on_text(piece)
