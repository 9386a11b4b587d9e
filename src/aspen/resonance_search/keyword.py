"""The keyword arm: BM25 over the dated text of memories.

Robertson and Zaragoza (2009), with the idf of Lucene, which never goes negative:
`idf(t) = ln(1 + (N - df + .5) / (df + .5))`,
`score = sum over terms of idf x tf / (tf + k1 x (1 - b + b x length / mean length))`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from snowballstemmer import stemmer

from aspen.dates import written_date
from aspen.repository import MAX_TERM_LENGTH, Postings
from aspen.types import FloatArray, Seqs

K1 = 0.9
B = 0.4

# The stop words of Lucene's English analyser.
_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
to was will with
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Left out of prompts only: words that ask, auxiliaries, and third persons, who are named in what was said. "I", "my",
# "you" and the like stay: they tell what a person said from what an assistant answered.
_QUESTION_WORDS = """
what when where who whom whose which how why do does did done doing have has had having were am been being can could
would should shall may might must he him his she her its them
"""
QUESTION_WORDS = frozenset(_QUESTION_WORDS.split())

_WORD = re.compile(r"\w+")
_STEMMER = stemmer("english")


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


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


def bm25(postings: Sequence[Postings], *, seqs: Seqs, lengths: NDArray[np.int32]) -> FloatArray:
    """Scores of the candidates `seqs` [n] (ascending) with `lengths` [n] in terms: float32 [n], >= 0.

    All statistics are those of the candidates alone, so that other conversations do not weigh in.
    """
    n = len(seqs)
    scores = np.zeros(n)
    if n == 0:
        return scores.astype(np.float32)
    norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
    for posting in postings:
        found, counts = np.unique(posting.seqs, return_counts=True)
        rows = np.searchsorted(seqs, found)
        inside = rows < n
        inside[inside] = seqs[rows[inside]] == found[inside]
        rows, counts = rows[inside], counts[inside]
        idf = np.log1p((n - len(rows) + 0.5) / (len(rows) + 0.5))
        scores[rows] += idf * counts / (counts + norm[rows])
    return scores.astype(np.float32)
