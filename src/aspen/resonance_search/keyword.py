"""The keyword arm: BM25 over the dated text of memories.

Robertson and Zaragoza (2009), with the idf of Lucene, which never goes negative:
`idf(t) = ln(1 + (N - df + .5) / (df + .5))`,
`score = sum over terms of idf x tf / (tf + k1 x (1 - b + b x length / mean length))`,
where the documents are chunks of memories.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from snowballstemmer import stemmer

from aspen.dates import written_date
from aspen.repository import MAX_TERM_LENGTH, KeywordStore, Postings
from aspen.types import FloatArray, Seqs

K1 = 0.9
B = 0.4
CHUNK = 50
"""Terms in a chunk: some 80 words."""

# The stop words of Lucene's English analyser.
_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
to was will with
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Left out of prompts only: words that ask, auxiliaries, third persons, who are named in what was said, and words for
# the asking itself. "I", "my", "you" and the like stay: they tell what a person said from what an assistant answered.
_QUESTION_WORDS = """
what when where who whom whose which how why do does did done doing have has had having were am been being can could
would should shall may might must he him his she her its them
give tell told say said talk talked mention mentioned discuss discussed summary summarize summarise comprehensive list
items conversation conversations across throughout
"""
QUESTION_WORDS = frozenset(_QUESTION_WORDS.split())

_WORD = re.compile(r"\w+")


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    # A stemmer of its own, which costs nothing: it works on its attributes, and threads that share one get wrong stems.
    return str(stemmer("english").stemWord(word))


def forget_stems() -> None:
    """Empty the cache of stems: it holds words of memories."""
    _stem.cache_clear()


def analyse(text: str) -> tuple[str, ...]:
    """Stemmed lower-case words of `text` in order, without stop words."""
    # Cut: a store need not hold words without end (a key, a file in base64), and no index takes them.
    words = (word[:MAX_TERM_LENGTH] for word in _WORD.findall(text.lower()))
    return tuple(_stem(word) for word in words if word not in STOP_WORDS)


def query_terms(prompt: str) -> tuple[str, ...]:
    """The words of a prompt that can tell memories apart: `analyse`, less the words questions are made of."""
    words = (word for word in _WORD.findall(prompt.lower()) if word not in QUESTION_WORDS)
    return analyse(" ".join(words))


def spoken_text(text: str, *, speaker: str | None) -> str:
    """A memory as the model reads it: who said it, and what."""
    return f"{speaker}: {text}" if speaker else text


def dated_text(text: str, *, speaker: str | None, said_at: datetime | None) -> str:
    """A memory as the keyword arm reads it: with its date, so that "in May" finds what was said in May.

    The date stays out of what the model reads: there it would make all memories of a day alike.
    """
    spoken = spoken_text(text, speaker=speaker)
    return f"({written_date(said_at)}) {spoken}" if said_at else spoken


@dataclass(frozen=True)
class PromptWords:
    """The words of a prompt that can tell memories apart, each once, as `terms`. Of these, `repeats` is how often each
    occurs in the prompt, and `postings` where it occurs in the store; `seqs` are the candidates, ascending."""

    terms: tuple[str, ...]
    repeats: tuple[int, ...]
    postings: tuple[Postings, ...]
    seqs: Seqs

    @classmethod
    def look_up(cls, prompt: str, *, store: KeywordStore, seqs: Seqs) -> PromptWords:
        """Those of `prompt`, among the candidates `seqs`."""
        counts = Counter(query_terms(prompt))
        return cls(tuple(counts), tuple(counts.values()), tuple(store.postings(list(counts))), seqs)

    @cached_property
    def occurrences(self) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """For each word, every occurrence in a candidate: its row, ascending, and the place among its terms."""
        return [self._inside(posting) for posting in self.postings]

    @cached_property
    def rows(self) -> list[NDArray[np.int64]]:
        """For each word, the rows of the candidates that have it."""
        return [rows[np.diff(rows, prepend=-1) > 0] for rows, _ in self.occurrences]

    @cached_property
    def idf(self) -> NDArray[np.float64]:
        """How rare each word is among the candidates, Lucene's idf by memory: float64 [words]."""
        frequency = np.array([len(rows) for rows in self.rows], dtype=np.float64)
        return np.log1p((len(self.seqs) - frequency + 0.5) / (frequency + 0.5))

    def places_in(self, seq: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every occurrence in one memory: the number of the word, and its place among the memory's terms."""
        spans = [np.searchsorted(posting.seqs, [seq, seq + 1]) for posting in self.postings]
        places = [posting.positions[slice(*span)] for posting, span in zip(self.postings, spans, strict=True)]
        words = [np.full(len(own), word) for word, own in enumerate(places)]
        nothing = [np.zeros(0, dtype=np.int64)]
        return np.concatenate(nothing + words).astype(np.int64), np.concatenate([*nothing, *places])

    def _inside(self, posting: Postings) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        rows = np.searchsorted(self.seqs, posting.seqs)
        inside = rows < len(self.seqs)
        inside[inside] = self.seqs[rows[inside]] == posting.seqs[inside]
        return rows[inside].astype(np.int64), posting.positions[inside]


def bm25(words: PromptWords, *, lengths: NDArray[np.int32]) -> FloatArray:
    """Scores of the candidates, which have `lengths` [n] terms: float32 [n], >= 0.

    A memory of more than CHUNK terms is scored chunk by chunk and counts as its best one: in a whole long text the
    words of any question lie about. All statistics are those of the candidates alone, so that other conversations
    do not weigh in.
    """
    seqs = words.seqs
    if len(seqs) == 0:
        return np.zeros(0, dtype=np.float32)
    first_chunk, chunk_lengths = chunks_of(lengths)
    n_chunks = len(chunk_lengths)
    scores = np.zeros(n_chunks)
    norm = K1 * (1 - B + B * chunk_lengths / max(float(chunk_lengths.mean()), 1.0))
    for (rows, positions), repeats in zip(words.occurrences, words.repeats, strict=True):
        chunks = first_chunk[rows] + positions // CHUNK
        found, counts = np.unique(chunks, return_counts=True)
        idf = np.log1p((n_chunks - len(found) + 0.5) / (len(found) + 0.5))
        scores[found] += repeats * idf * counts / (counts + norm[found])
    return np.maximum.reduceat(scores, first_chunk).astype(np.float32)


def chunks_of(lengths: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each memory the number of its first chunk [n], and for each chunk its length in terms."""
    last = (np.maximum(lengths, 1) - 1) // CHUNK  # a memory without terms is one empty chunk
    first_chunk = np.concatenate([[0], np.cumsum(last + 1)])[:-1].astype(np.int64)
    chunk_lengths = np.full(int((last + 1).sum()), CHUNK, dtype=np.int64)
    chunk_lengths[first_chunk + last] = lengths - last * CHUNK
    return first_chunk, chunk_lengths
