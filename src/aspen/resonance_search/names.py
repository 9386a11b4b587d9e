"""Names in a text, found by their capital letters: no model, no list of names.

A name is a run of capitalised words ("Lake Tana", "University of Ghent"), and every part of it that begins and ends
with a word of its own, so that "Mayor of London" is also about London. Capital letters are those of all scripts that
have small ones too; in others (Chinese, Arabic) nothing is found, and recall goes without. The small words that begin
a sentence are known in English alone: in other languages they are taken for names, which joins nothing, for what many
memories mention joins none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import islice

from aspen.repository import Mention
from aspen.resonance_search.keyword import analyse

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_INNER = "of|the|de|and|la|von|van|del|der|for|in"
_POSSESSIVE = re.compile(r"['\u2019]s\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_MARK = re.compile("[\u0300-\u036f]")
_TITLE = re.compile(r"([^\n:]{1,80}): ")
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
_ASCII = range(0x80)
_LETTERS = range(0x20000)  # all scripts that have capitals lie below
_LONGEST = 8  # words in a name
_MOST = 200  # names of one memory
_SHORTEST = 3  # characters
_MOST_CHARACTERS = 120


def normalised(name: str) -> str:
    """A name as it is compared: its words in lower case, composed, without "'s", punctuation and a leading article."""
    words = _words(name)
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
    return match[1] if match and (match[1][0] in "0123456789" or _is_capital(match[1][0])) else ""


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
    words = _words(prompt)
    for start in range(len(words)):
        for stop in range(start + 1, min(start + _LONGEST, len(words)) + 1):
            yield " ".join(words[start:stop])


@cache
def _runs(characters: range) -> re.Pattern[str]:
    """Finds capitalised words or numbers, joined by at most two small words, up to a last capitalised word.

    Bounded, and begun at the beginning of a word only: a file of numbers would otherwise be searched from each of its
    digits. The capitals are those among `characters`: all of them take a moment to gather, and longer to find.
    """
    capital = "".join(filter(_is_capital, map(chr, characters)))
    return re.compile(
        rf"(?<!\w)(?:[0-9{capital}][\w'\u2019&.\-]*+\s+(?:(?:{_INNER})\s+){{0,2}}){{0,15}}"
        rf"[{capital}][\w'\u2019&.\-]*"
    )


def _is_capital(character: str) -> bool:
    return character.lower() != character


def _names_in(sentence: str) -> Iterator[str]:
    for run in _runs(_ASCII if sentence.isascii() else _LETTERS).finditer(_composed(sentence)):
        words = _words(run[0])
        for start in range(len(words)):
            if words[start] in _NO_NAME:
                continue
            for stop in range(start + 1, min(start + _LONGEST, len(words)) + 1):
                name = " ".join(words[start:stop])
                if words[stop - 1] not in _NO_NAME and _is_name(name):
                    yield name


def _words(text: str) -> list[str]:
    # Composed after the change of case: an İ becomes an i and a dot, of which no letter is made.
    return _WORD.findall(_composed(_POSSESSIVE.sub("", text).lower()))


def _composed(text: str) -> str:
    """`text` with marks and letters made one; marks that fit none, such as the stress in Russian, are left out.

    `\\w` does not match a mark: a word would end before it.
    """
    return text if text.isascii() else _MARK.sub("", unicodedata.normalize("NFC", text))


def _is_name(name: str) -> bool:
    if not _SHORTEST <= len(name) <= _MOST_CHARACTERS:
        return False
    return name not in _NO_NAME and not name.replace(" ", "").isdigit()
