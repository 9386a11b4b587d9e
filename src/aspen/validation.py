"""Checks on what comes from outside, made before anything is computed or written."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from numbers import Real
from types import UnionType
from typing import Any, TypeVar

from aspen.errors import InvalidInput

MAX_TEXT_LENGTH = 100_000
"""Longest text of one memory, in characters."""
MAX_NAME_LENGTH = 500
"""Longest speaker, conversation, source or id, in characters."""
MAX_SEED = 2**53 - 1
"""Largest seed: the largest integer that JSON readers agree on."""

_Choice = TypeVar("_Choice", bound=StrEnum)
_ALLOWED_CONTROLS = frozenset("\t\n\r")


def check_text(text: object, *, what: str = "text", max_length: int = MAX_TEXT_LENGTH) -> str:
    """`text` itself if it can be stored and shown without harm; InvalidInput otherwise.

    Refused: anything but a string, the empty string, text past `max_length`, NUL and other control characters
    (they end C strings and drive terminals), and lone surrogates (they have no UTF-8 form).
    """
    if not isinstance(text, str):
        raise InvalidInput(f"{what} must be a string, got {type(text).__name__}.", what=what)
    if len(text) > max_length:
        raise InvalidInput(
            f"{what} has {len(text):,} characters, the most is {max_length:,}.",
            hint="Split it into several memories.",
            what=what,
            length=len(text),
            limit=max_length,
        )
    if not text.strip():
        raise InvalidInput(f"{what} is empty.", hint="Give at least one visible character.", what=what)
    position = first_unstorable(text)
    if position is not None:
        raise InvalidInput(
            f"{what} has U+{ord(text[position]):04X} at character {position}, which cannot be stored.",
            hint="Remove control characters (tab and line breaks are fine) and lone surrogates.",
            what=what,
            position=position,
            character=f"U+{ord(text[position]):04X}",
        )
    return text


def first_unstorable(text: str) -> int | None:
    """Position of the first control character or lone surrogate in `text`, or None."""
    if text.isascii() and text.isprintable():
        return None
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS:
            return position
    return None


def strip_unstorable(text: str) -> str:
    """`text` without the characters that `check_text` refuses: for what a model generated."""
    if first_unstorable(text) is None:
        return text
    return "".join(
        character
        for character in text
        if character in _ALLOWED_CONTROLS or unicodedata.category(character) not in ("Cc", "Cs")
    )


def check_name(name: object, *, what: str) -> str | None:
    """A speaker, conversation, source or id: None, or one line of text."""
    if name is None:
        return None
    checked = check_text(name, what=what, max_length=MAX_NAME_LENGTH)
    if "\t" in checked or len(checked.splitlines()) > 1:
        raise InvalidInput(f"{what} must be one line without tabs.", what=what)
    return checked


def check_time(time: object, *, what: str = "said_at") -> datetime | None:
    """None, or the time in UTC. A time without a zone is taken as UTC."""
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise InvalidInput(
            f"{what} must be a datetime, got {type(time).__name__}.",
            hint="Parse strings with datetime.fromisoformat.",
            what=what,
        )
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidInput(f"{what} {time!r} lies outside the years 1 to 9999.", what=what) from error


def check_kind(value: object, kind: type | UnionType, *, what: str) -> None:
    """InvalidInput unless `value` is of `kind`."""
    if not isinstance(value, kind):
        expected = getattr(kind, "__name__", str(kind))
        raise InvalidInput(f"{what} must be {expected}, got {type(value).__name__}.", what=what)


def is_number(value: object) -> bool:
    """Whether `value` is a real number; a truth value is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_share(value: object, *, what: str) -> float:
    """A number in [0, 1], as a float; never -0.0."""
    number: Any = value
    # NaN fails the comparison too; SQLite would store it as NULL without a word.
    if not is_number(value) or not 0 <= number <= 1:
        raise InvalidInput(f"{what} must be a number in [0, 1], got {value!r}.", what=what)
    return abs(float(number))


def check_choice(value: object, choices: type[_Choice], *, what: str) -> _Choice:
    """A member of `choices`, given as itself or as its string."""
    try:
        return choices(str(value))
    except ValueError as error:
        raise InvalidInput(f"unknown {what} {value!r}.", hint=f"One of {', '.join(choices)}.") from error


def check_choices(values: object, choices: type[_Choice], *, what: str) -> list[_Choice]:
    """Members of `choices`, each given as itself or as its string. One string is no collection of them."""
    return [check_choice(value, choices, what=what) for value in check_collection(values, what=f"{what}s")]


def check_collection(values: object, *, what: str) -> list[Any]:
    """The members of a list, tuple or set; InvalidInput for anything else, a string too."""
    if not isinstance(values, list | tuple | set | frozenset):
        raise InvalidInput(f"{what} must be a list, tuple or set, got {type(values).__name__}.", what=what)
    return list(values)


def check_seed(seed: object) -> int:
    """A seed in [0, 2**53 - 1]."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"seed must be an integer in [0, {MAX_SEED}], got {seed!r}.", seed=repr(seed))
    return seed


def check_count(value: object, *, what: str, minimum: int = 1, maximum: int = 10_000) -> int:
    """An integer in [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InvalidInput(f"{what} must be an integer in [{minimum}, {maximum}], got {value!r}.", what=what)
    return value
