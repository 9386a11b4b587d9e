"""How good an answer is, by the words of what it says."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import snowballstemmer

from aspen.models import LanguageModel
from aspen.types import TokenIds

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


def answer_tokens(model: LanguageModel, text: str) -> TokenIds:
    """Tokens of a reply that says `text`."""
    return model.tokenize(text.strip())
