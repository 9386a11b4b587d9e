"""Times that a prompt names: "on 8 May 2023", "in May", "last week", "three days ago".

Only what names a day, a week, a month or a year is read; "recently" or "in summer" name none.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from aspen.dates import MONTHS

_SHORT = tuple(month[:3].lower() for month in MONTHS)
_MONTH = rf"(?:{'|'.join(month.lower() for month in MONTHS)}|(?:sept|{'|'.join(_SHORT)})\b\.?)"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"((?:19|20)\d\d)"
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_WORDS, start=1)} | {"a": 1, "an": 1}
_COUNT = rf"(\d{{1,3}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(day|week|month|year)"
_WEEKDAY = "|".join(name.lower() for name in calendar.day_name)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to, but without, `end`."""

    start: datetime
    end: datetime


def periods_in(text: str, *, now: datetime, years: Collection[int]) -> list[Period]:
    """The times that `text` names.

    What is counted from today ("yesterday") goes by the time zone of `now`; calendar dates are in UTC, as they stand
    in the words of memories. A date without a year is taken in each of `years`, where it exists.
    """
    left, found = text.lower(), []
    for pattern, read in _PATTERNS:
        for match in pattern.finditer(left):
            found += read(match, _Asked(now, years))
        # What was read is not read again: "8 May 2023" is no "May 2023".
        left = pattern.sub(" ; ", left)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Asked:
    now: datetime
    years: Collection[int]

    @property
    def today(self) -> date:
        return self.now.date()

    def between(self, start: date, end: date) -> list[Period]:
        """From the beginning of the day `start` to that of `end`, where the one who asks lives."""
        zone = self.now.tzinfo
        return [Period(_midnight(start, zone), _midnight(end, zone))]


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _in_calendar(asked: _Asked, *, year: str | None, month: int = 1, day: str | None = None) -> list[Period]:
    periods = []
    for one in [int(year)] if year else sorted(asked.years):
        try:
            start = date(one, month, int(day or 1))
        except ValueError:  # 29 February, or no date at all
            continue
        end = start + timedelta(days=1) if day else _months_later(start, 1)
        periods.append(Period(_midnight(start, UTC), _midnight(end, UTC)))
    return periods


def _months_later(first: date, months: int) -> date:
    """The first of a month, `months` after that of `first`."""
    index = first.year * 12 + first.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _month_number(name: str) -> int:
    return _SHORT.index(name[:3]) + 1


def _whole_year(match: re.Match[str], asked: _Asked) -> list[Period]:
    year = int(match[1])
    return [Period(_midnight(date(year, 1, 1), UTC), _midnight(date(year + 1, 1, 1), UTC))]


def _near_day(match: re.Match[str], asked: _Asked) -> list[Period]:
    back = {"today": 0, "yesterday": 1, "the day before yesterday": 2}[match[1]]
    day = asked.today - timedelta(days=back)
    return asked.between(day, day + timedelta(days=1))


def _weekday(match: re.Match[str], asked: _Asked) -> list[Period]:
    wanted = _WEEKDAY.split("|").index(match[1])
    day = asked.today - timedelta(days=(asked.today.weekday() - wanted - 1) % 7 + 1)
    return asked.between(day, day + timedelta(days=1))


def _unit(match: re.Match[str], asked: _Asked) -> list[Period]:
    """This or last week, weekend, month, year: by the calendar, weeks from Monday."""
    back, unit = int(match[1] != "this"), match[2]
    monday = asked.today - timedelta(days=asked.today.weekday())
    if unit == "week":
        start = monday - timedelta(weeks=back)
        return asked.between(start, start + timedelta(weeks=1))
    if unit == "weekend":
        saturday = monday - timedelta(days=2) if back else monday + timedelta(days=5)
        return asked.between(saturday, saturday + timedelta(days=2))
    if unit == "month":
        first = _months_later(asked.today, -back)
        return asked.between(first, _months_later(first, 1))
    year = asked.today.year - back
    return asked.between(date(year, 1, 1), date(year + 1, 1, 1))


def _ago(match: re.Match[str], asked: _Asked) -> list[Period]:
    """About so long ago: the day, or the unit's length around it."""
    count, unit = _count(match[1]), match[2]
    length = {"day": 1, "week": 7, "month": 30, "year": 365}[unit]
    middle = asked.today - timedelta(days=count * length)
    half = timedelta(days=length // 2)
    return asked.between(middle - half, middle + half + timedelta(days=1))


def _past(match: re.Match[str], asked: _Asked) -> list[Period]:
    days = _count(match[1] or "1") * {"day": 1, "week": 7, "month": 30, "year": 365}[match[2]]
    return asked.between(asked.today - timedelta(days=days), asked.today + timedelta(days=1))


def _count(word: str) -> int:
    return _NUMBERS[word] if word in _NUMBERS else int(word)


_Reader = Callable[[re.Match[str], _Asked], list[Period]]


def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern}\b")


_PATTERNS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (
        _pattern(rf"{_YEAR}-(\d\d)-(\d\d)"),
        lambda m, asked: _in_calendar(asked, year=m[1], month=int(m[2]), day=m[3]),
    ),
    (
        _pattern(rf"{_DAY}(?: of)? ({_MONTH})(?:,? {_YEAR})?"),
        lambda m, asked: _in_calendar(asked, year=m[3], month=_month_number(m[2]), day=m[1]),
    ),
    (
        _pattern(rf"({_MONTH}) {_DAY}(?:,? {_YEAR})?"),
        lambda m, asked: _in_calendar(asked, year=m[3], month=_month_number(m[1]), day=m[2]),
    ),
    (
        _pattern(rf"({_MONTH}),? {_YEAR}"),
        lambda m, asked: _in_calendar(asked, year=m[2], month=_month_number(m[1])),
    ),
    (  # "may" and "march" are verbs, too: a month alone needs its preposition
        _pattern(rf"(?:in|during|since|of|by|until|early|late|mid|last|this|before|after) ({_MONTH})"),
        lambda m, asked: _in_calendar(asked, year=None, month=_month_number(m[1])),
    ),
    (_pattern(_YEAR), _whole_year),
    (_pattern(r"(the day before yesterday|yesterday|today)"), _near_day),
    (_pattern(rf"(?:last|on) ({_WEEKDAY})"), _weekday),
    (_pattern(rf"{_COUNT} {_UNIT}s? ago"), _ago),
    (_pattern(rf"(?:in|over|during|within) the (?:last|past) (?:{_COUNT} )?{_UNIT}s?"), _past),
    (_pattern(r"(this|last) (week|weekend|month|year)"), _unit),
)
"""In this order: what a pattern reads is taken out of the text before the next one looks."""
