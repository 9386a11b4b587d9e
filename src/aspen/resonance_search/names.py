"""Names in a text, found by their capital letters: no model, no list of names.

A name is a run of capitalised words ("Lake Tana", "University of Ghent"), and every part of it that begins and ends
with a word of its own, so that "Mayor of London" is also about London. Of capital letters those of Latin-1 are known;
in other scripts nothing is found, and recall goes without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from aspen.repository import Mention
from aspen.resonance_search.keyword import analyse

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_INNER = "of|the|de|and|la|von|van|del|der|for|in"
# Capitalised words or numbers, joined by at most two small words, up to a last capitalised word. Bounded, and begun
# at the beginning of a word only: a file of numbers would otherwise be searched from each of its digits.
_RUN = re.compile(
    rf"(?<!\w)(?:[A-Z0-9À-ÖØ-Þ][\w'\u2019&.\-]*+\s+(?:(?:{_INNER})\s+){{0,2}}){{0,15}}"
    rf"[A-ZÀ-ÖØ-Þ][\w'\u2019&.\-]*"
)
_POSSESSIVE = re.compile(r"['\u2019]s\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_TITLE = re.compile(r"([A-Z0-9À-ÖØ-Þ][^\n:]{0,79}): ")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")

# Words that begin a sentence or stand inside a name, and are no name by themselves.
_SMALL_WORDS = """
a an the in it its he she they this that these those his her their my your our on at as after for from during by
with when while however although there born but and also one since both other some most many before between under
two first then where who whom which what how why not all each if of to i you we me or so no yes yeah oh hey hi
thanks thank wow well just can could would should will is are was were be do does did have has had let im ive
id ill dont cant s t de la von van del der please great good sure okay ok now here maybe still
january february march april may june july august september october november december
monday tuesday wednesday thursday friday saturday sunday today tomorrow yesterday
"""
_NO_NAME = frozenset(_SMALL_WORDS.split())
# Roles in a chat, not names of anybody.
_ROLES = frozenset({"user", "assistant", "system", "human", "ai", "bot"})
_LONGEST = 8  # words in a name
_MOST = 200  # names of one memory
_SHORTEST = 3  # characters
_MOST_CHARACTERS = 120


def normalised(name: str) -> str:
    """A name as it is compared: its words in lower case, without "'s", punctuation and a leading article."""
    words = _WORD.findall(_POSSESSIVE.sub("", name).lower())
    while len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    return " ".join(words)


def subject_of(text: str, *, speaker: str | None) -> str | None:
    """Whom or what a memory is about: its speaker, or a title at its beginning ("Lake Tana: a lake in ...")."""
    named = speaker if speaker is not None else title_of(text)
    subject = normalised(_IN_BRACKETS.sub("", named))
    if subject in _ROLES or len(subject.split()) > _LONGEST:
        return None
    # A speaker is a name whatever it looks like, unless it is a word that many prompts have ("Will", "May").
    fits = 0 < len(subject) <= _MOST_CHARACTERS and subject not in _NO_NAME
    return subject if fits and (speaker is not None or _is_name(subject)) else None


def title_of(text: str) -> str:
    """The title at the beginning of a text, empty where there is none."""
    match = _TITLE.match(text)
    return match[1] if match else ""


def mentions_in(text: str, *, speaker: str | None, n_terms: int) -> tuple[Mention, ...]:
    """Names in a memory of `n_terms` terms, each with the terms of the sentence it stands in.

    The memory's own title or speaker is no mention.
    """
    body = text if speaker is not None else text[len(title_of(text)) :]
    own = subject_of(text, speaker=speaker)
    cut = [(sentence, len(analyse(sentence))) for sentence in sentences(body)]
    start = n_terms - sum(length for _, length in cut)
    found: list[Mention] = []
    for sentence, length in cut:
        others = (name for name in names_in(sentence) if name != own)
        found += [Mention(name, start, start + length) for name in islice(others, _MOST - len(found))]
        start += length
    return tuple(found)


def sentences(text: str) -> list[str]:
    """`text` cut behind full stops and at the ends of lines."""
    return [sentence for sentence in _SENTENCE_END.split(text) if sentence]


def names_in(sentence: str) -> Iterator[str]:
    """The names in a sentence, normalised, each once, in order."""
    seen: set[str] = set()
    for name in _names_in(sentence):
        if name not in seen:
            seen.add(name)
            yield name


def named_in(prompt: str) -> Iterator[str]:
    """Every run of words in a prompt, as a name would be written: prompts are often in small letters."""
    words = _WORD.findall(_POSSESSIVE.sub("", prompt).lower())
    for start in range(len(words)):
        for stop in range(start + 1, min(start + _LONGEST, len(words)) + 1):
            yield " ".join(words[start:stop])


def _names_in(sentence: str) -> Iterator[str]:
    for run in _RUN.finditer(sentence):
        words = _WORD.findall(_POSSESSIVE.sub("", run[0]).lower())
        for start in range(len(words)):
            if words[start] in _NO_NAME:
                continue
            for stop in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                name = " ".join(words[start:stop])
                if words[stop - 1] not in _NO_NAME and _is_name(name):
                    yield name


def _is_name(name: str) -> bool:
    if not _SHORTEST <= len(name) <= _MOST_CHARACTERS:
        return False
    return name not in _NO_NAME and not name.replace(" ", "").isdigit()
