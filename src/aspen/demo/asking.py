"""One question: what is recalled for it, by which way, at what cost, and what text matching alone would have found."""

from __future__ import annotations

import time
from dataclasses import dataclass

from aspen.aspen import Aspen
from aspen.memory_injector import Note, write_note
from aspen.models import LanguageModel
from aspen.resonance_search import analyse, dated_text
from aspen.resonance_search.keyword import query_terms
from aspen.types import Hit, Memory, PartialPass, Provenance, Recall

SHOWN = 4
"""Hits that are shown: as many as a note takes."""
_BY_TEXT = 3
"""A hit that text matching alone ranks lower than this is one that it misses."""
_GOOD_PART = 0.2
"""Share of a score from which on what spreading brought is worth showing."""
_NOTE_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A hit, and how else it would have fared.

    rank: its place; text_rank: that by text matching alone, None where it has no word of the question;
    direct_rank: that without spreading. path: the memories on the strongest way that activation took to it.
    """

    hit: Hit
    rank: int
    text_rank: int | None
    direct_rank: int
    path: tuple[Memory, ...]

    @property
    def missed(self) -> bool:
        """Whether text matching alone would have missed it."""
        return self.text_rank is None or self.text_rank > _BY_TEXT

    @property
    def by_spreading(self) -> bool:
        """Whether spreading lifted it to its place, or brought a good part of its score."""
        brought = self.hit.arms.get("neighbours", 0.0) + self.hit.arms.get("names", 0.0)
        return brought > 0 and (self.direct_rank > self.rank or brought > _GOOD_PART * self.hit.score)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came back for a question. `full_seconds` is a pass of the same tokens through every block."""

    recall: Recall
    found: tuple[Found, ...]
    note: Note | None
    partial: PartialPass
    full_seconds: float


def find(aspen: Aspen, question: str) -> Finding:
    """Recall as `chat` does it, and measure what the demo tells about it."""
    said = (Provenance.SAID, Provenance.IMPORTED)
    partial, full_seconds = _passes(aspen, question)
    recall = aspen.recall(question, provenances=said)
    everything = aspen.repository.stats().memories
    direct = aspen.recall(question, provenances=said, use_spreading_activation=False, limit=everything)
    by_text = aspen.recall(
        question, provenances=said, use_spreading_activation=False, limit=everything, arms=["keyword"]
    )
    found = tuple(
        Found(
            hit,
            rank=rank,
            text_rank=_rank(by_text, hit) if _shares_word(question, hit.memory) else None,
            direct_rank=_rank(direct, hit),
            path=_path(aspen, hit),
        )
        for rank, hit in enumerate(recall.hits[:SHOWN], start=1)
    )
    note = write_note(
        recall.hits,
        prompt=question,
        budget=_NOTE_TOKENS,
        count_tokens=lambda text: len(aspen.model.tokenize(text)),
    )
    return Finding(recall, found, note, partial, full_seconds)


def _passes(aspen: Aspen, question: str) -> tuple[PartialPass, float]:
    """The partial pass that recall makes of a question, and the seconds of a full one: the best of three each."""
    partial, seconds = [], []
    model: LanguageModel = aspen.model
    token_ids = model.tokenize(question)
    for _ in range(3):
        partial.append(aspen.engine.encoder.encode_query(question)[1])
        started = time.perf_counter()
        model.capture([token_ids], layers=(model.info.n_layers,))
        seconds.append(time.perf_counter() - started)
    return min(partial, key=lambda one: one.seconds), min(seconds)


def _rank(recall: Recall, hit: Hit) -> int:
    """The place of a hit in another recall; behind all of them where it is missing."""
    ids = [other.memory.id for other in recall.hits]
    return ids.index(hit.memory.id) + 1 if hit.memory.id in ids else len(ids) + 1


def _shares_word(question: str, memory: Memory) -> bool:
    words = analyse(dated_text(memory.text, speaker=memory.speaker, said_at=memory.said_at))
    return not set(query_terms(question)).isdisjoint(words)


def _path(aspen: Aspen, hit: Hit) -> tuple[Memory, ...]:
    """The memories on the strongest path to a hit, the hit itself last."""
    return tuple(aspen.repository.get(hit.paths[0].memories)) if hit.paths else ()
