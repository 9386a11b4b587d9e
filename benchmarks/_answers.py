"""How good an answer is: by the model's own likelihood of the right one, and by the words of what it says."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import numpy as np
import snowballstemmer

from aspen.models import LanguageModel, Session
from aspen.types import FloatArray, TokenIds

_ARTICLES = {"a", "an", "and", "the"}
_stemmer = snowballstemmer.stemmer("porter")


def words(text: str) -> list[str]:
    """Lower case, without punctuation and articles, stemmed, as LoCoMo's own evaluation does (Maharana et al. 2024)."""
    found = re.findall(r"\w+", text.casefold())
    return [_stem(word) for word in found if word not in _ARTICLES]


@cache
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def f1(said: str, right: str) -> float:
    """Harmonic mean of the shares of words that two texts have in common, in [0, 1] (Rajpurkar et al. 2016)."""
    ours, theirs = words(said), words(right)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def contains(said: str, right: str) -> bool:
    """Whether the words of the right answer stand in what was said, in their order and next to each other."""
    ours, theirs = words(said), words(right)
    return bool(theirs) and any(
        ours[at : at + len(theirs)] == theirs for at in range(len(ours) - len(theirs) + 1)
    )


def log_likelihood(session: Session, logits: FloatArray, answer: TokenIds) -> float:
    """Mean natural log of the probabilities of the tokens of `answer` [n >= 1], in nats a token.

    `logits` [V] are those after the last token of the session, which stands as it was afterwards.
    """
    length, total = session.length, 0.0
    for position, token in enumerate(answer.tolist()):
        total += float(_log_softmax(logits)[token])
        if position < len(answer) - 1:
            logits = session.decode(token)
    session.rewind(length)
    return total / len(answer)


def answer_tokens(model: LanguageModel, text: str) -> TokenIds:
    """Tokens of a reply that says `text`."""
    return model.tokenize(text.strip())


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted = logits.astype(np.float64) - logits.max()
    values: FloatArray = shifted - np.log(np.exp(shifted).sum())
    return values
