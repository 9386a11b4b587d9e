"""The note as stored keys and values: its lines go into the KV cache without running through the model again."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspen.activation_logger import name_spans
from aspen.errors import FragmentError, PromptTooLong
from aspen.memory_injector.fragments import FragmentMaker, cut_lines
from aspen.memory_injector.framing import Note, note_of
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.note import note_lines
from aspen.memory_injector.prompt import ComposedPrompt
from aspen.memory_injector.text import compose, prepare_text
from aspen.models import KVFragment, feed
from aspen.models.likelihood import log_softmax
from aspen.types import FloatArray, Injection, Memory, Pass, TokenIds

MOST_DIVERGENCE = 0.5
"""Most nats that the next token's distribution may lie from that of the text: beyond, it lies as far from it as it
would without any note (a mean of 0.4 with the bundled model, docs/benchmarks/kv.md).
"""


@dataclass(frozen=True)
class _Lines:
    """The lines of a note as fragments, in order, and what became of those that were kept."""

    fragments: list[KVFragment]
    made: int
    refused: list[FragmentError]


class CachedNote:
    """Recalls as the note does, and puts its lines into the cache as keys and values.

    A line's keys and values are made once, kept with its memory, and turned to where they land. The prompt has the very
    tokens of the note as text, so that one can stand for the other: where the model or the template do not allow it, or
    where a check against the text finds too great a difference, the note is given as text, and the reason says so.
    """

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`."""
        hits = situation.recall(situation.message).hits
        told = note_lines(
            hits,
            prompt=situation.message,
            budget=situation.budget,
            count_tokens=situation.count_tokens,
        )
        note = note_of(told, count_tokens=situation.count_tokens)
        if note is None:
            return prepare_text(situation, None, strategy=StrategyName.KV)
        if refused := situation.model.fragments_refused():
            return _as_text(situation, note, reason=refused)
        try:
            composed = compose(situation, note)
        except PromptTooLong:  # which text may do without its note
            return _as_text(situation, note, reason="the message left no room for memories")
        token_ids = composed.chat.token_ids
        cuts = cut_lines(
            situation.model, token_ids, lines=[line.text for line in told], system=situation.system
        )
        if not cuts:
            return _as_text(situation, note, reason="the tokenizer joins the lines of the note")
        found = {hit.memory.id: hit.memory for hit in hits}
        memories = [found[id_] for id_ in note.memory_ids]
        return _put(situation, composed, note, memories=memories, cuts=cuts)


def _put(
    situation: Situation,
    composed: ComposedPrompt,
    note: Note,
    *,
    memories: Sequence[Memory],
    cuts: Sequence[int],
) -> Prepared:
    """Bring in the prompt with the lines of the note as fragments; as text where the check is against it."""
    token_ids = composed.chat.token_ids
    started = time.perf_counter()
    pieces = [token_ids[start:stop] for start, stop in itertools.pairwise(cuts)]
    lines = _fragments(situation, memories, pieces)
    passes = (
        Pass(cuts[0]),
        *(Pass(len(fragment.token_ids), fragment.digest) for fragment in lines.fragments),
        Pass(len(token_ids) - cuts[-1]),
    )
    logits = feed(
        situation.session,
        token_ids,
        passes=passes,
        fragments={fragment.digest: fragment for fragment in lines.fragments},
    )
    seconds = time.perf_counter() - started
    figures: dict[str, float] = {"fragments": len(pieces), "fragments_made": lines.made}
    if _is_checked(situation):
        figures["kl"] = divergence(logits, of=situation.model.start_session().prefill(token_ids))
        figures["check_seconds"] = time.perf_counter() - started - seconds
        if figures["kl"] > MOST_DIVERGENCE:
            situation.session.rewind(0)
            reason = f"keys and values led {figures['kl']:.2f} nats away from the text"
            return _as_text(situation, note, reason=reason, figures=figures)
    return Prepared(
        text=composed.chat.text,
        token_ids=token_ids,
        segments=name_spans(composed.chat.spans, note=composed.note),
        logits=logits,
        passes=passes,
        note=note,
        dropped=composed.dropped,
        injection=Injection(
            strategy=StrategyName.KV,
            asked=StrategyName.KV,
            reason=_made_anew(lines.refused),
            memory_ids=note.memory_ids,
            tokens=note.tokens,
            figures=figures,
        ),
        seconds=seconds,
    )


def _fragments(situation: Situation, memories: Sequence[Memory], pieces: Sequence[TokenIds]) -> _Lines:
    """The fragments of lines, kept or else made; made ones, too, are what comes back of their bytes."""
    maker = FragmentMaker.of(situation.model)
    places = [(memory.seq, maker.name(ids)) for memory, ids in zip(memories, pieces, strict=True)]
    kept = situation.fragments.fragments(places)
    found: dict[tuple[int, str], KVFragment] = {}
    refused: list[FragmentError] = []
    for place, token_ids in zip(places, pieces, strict=True):
        if place in kept:
            try:
                found[place] = maker.read(kept[place], token_ids=token_ids)
            except FragmentError as error:
                refused.append(error)
    missing = {place: ids for place, ids in zip(places, pieces, strict=True) if place not in found}
    if missing:
        made = dict(zip(missing, maker.make(list(missing.values())), strict=True))
        situation.fragments.keep_fragments(made)
        found |= {place: maker.read(data, token_ids=missing[place]) for place, data in made.items()}
    return _Lines([found[place] for place in places], len(missing), refused)


def divergence(logits: FloatArray, *, of: FloatArray) -> float:
    """Kullback-Leibler divergence in nats, >= 0, of one distribution of the next token from another, float32 [V]."""
    one, other = log_softmax(np.stack([logits, of]))
    return max(0.0, float(np.sum(np.exp(one) * (one - other))))


def _is_checked(situation: Situation) -> bool:
    """The reply's seed decides, so that the same reply is checked again, or again is not."""
    if situation.kv_check < 1:
        return False
    drawn = hashlib.sha256(f"kv check of seed {situation.seed}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % situation.kv_check == 0


def _as_text(
    situation: Situation, note: Note, *, reason: str, figures: dict[str, float] | None = None
) -> Prepared:
    return prepare_text(
        situation, note, strategy=StrategyName.NOTE, asked=StrategyName.KV, reason=reason, figures=figures
    )


def _made_anew(refused: Sequence[FragmentError]) -> str:
    if not refused:
        return ""
    return f"{len(refused)} stored fragments could not be used and were made anew: {refused[0].message}"
