"""Times that a prompt names: "on 8 May 2023", "in May", "last week", "before 2022", "from May to July 2023".

Only what names a day, a week, a month or a year is read; "recently" or "in summer" name none.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import product

from aspen.dates import MONTHS

_SHORT = tuple(month[:3].lower() for month in MONTHS)
_MONTH = rf"(?:{'|'.join(month.lower() for month in MONTHS)}|(?:sept|{'|'.join(_SHORT)})\b\.?)"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"((?:19|20)\d\d)"
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_WORDS, start=1)} | {"a": 1, "an": 1}
_COUNT = rf"(\d{{1,3}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(day|week|month|year)"
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_WEEKDAY = "|".join(name.lower() for name in calendar.day_name)
_PREPOSITIONS = "in|during|since|of|by|until|till|early|late|mid|this|before|after|from|between"
_DASH = r"-|\u2013"
_TO = rf"{_DASH}|to|until|till"


_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


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
    text = _spelt_out(text.lower())
    left, found = text, []
    for pattern, read in _PATTERNS:
        found += [
            _Named(match.start(), match.end(), read(match, _Asked(now, years)))
            for match in pattern.finditer(left)
        ]
        # What was read is not read again: "8 May 2023" is no "May 2023".
        left = pattern.sub(lambda match: ";" * len(match[0]), left)
    return list(dict.fromkeys(_bounded(text, sorted(found, key=lambda named: named.begin))))


def _spelt_out(text: str) -> str:
    """Every date with its own month and year: "8-10 May 2023" as "8 may 2023-10 may 2023"."""
    for pattern, replacement in _SPELLINGS:
        while (spelt := pattern.sub(replacement, text)) != text:
            text = spelt
    return text


@dataclass(frozen=True, slots=True)
class _Named:
    """Where in a text a time stands; several periods where its year is open."""

    begin: int
    end: int
    periods: list[Period]


def _bounded(text: str, times: Sequence[_Named]) -> Iterator[Period]:
    """The periods of `times`, in the order of `text`; ends of a span joined, open ones made of "before" and "after"."""
    rest = list(times)
    while rest:
        one = rest.pop(0)
        joint = _JOINT.fullmatch(text, one.end, rest[0].begin) if rest else None
        if joint and (joint[1] != "and" or _BETWEEN.search(text[: one.begin])):
            last = rest.pop(0).periods
            pairs = (
                product(one.periods[:1], last)
                if len(one.periods) == 1
                else zip(one.periods, last, strict=False)
            )
            yield from (Period(a.start, b.end) for a, b in pairs if a.start < b.end)
        elif bound := _BOUND.search(text[: one.begin]):
            yield from (_open(period, bound) for period in one.periods)
        else:
            yield from one.periods


def _open(period: Period, bound: re.Match[str]) -> Period:
    """What lies before or after a period; "a week after" it, no further than that."""
    earliest, latest = _EVER
    if bound[2]:
        length = timedelta(days=_count(bound[1] or "1") * _DAYS[bound[2]])
        earliest, latest = period.start - length, period.end + length
    return {
        "before": Period(earliest, period.start),
        "until": Period(earliest, period.end),
        "after": Period(period.end, latest),
        "since": Period(period.start, latest),
    }[_SAME_AS.get(bound[3], bound[3])]


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
            end = start + timedelta(days=1) if day else _months_later(start, 1)
        except (ValueError, OverflowError):  # 29 February, no date at all, or the end of the year 9999
            continue
        periods.append(Period(_midnight(start, UTC), _midnight(end, UTC)))
    return periods


def _months_later(first: date, months: int) -> date:
    """The first of a month, `months` after that of `first`."""
    index = first.year * 12 + first.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _month_number(name: str) -> int:
    return _SHORT.index(name[:3]) + 1


def _last_month(match: re.Match[str], asked: _Asked) -> list[Period]:
    """ "Last May" is the latest that has begun before this month."""
    month = _month_number(match[1])
    return _in_calendar(asked, year=str(asked.today.year - (month >= asked.today.month)), month=month)


def _in_figures(match: re.Match[str], asked: _Asked) -> list[Period]:
    """Day and month as they are written in most countries, and as in the United States, where both exist."""
    readings = ((match[1], match[2]), (match[2], match[1]))
    return [
        period
        for day, month in readings
        for period in _in_calendar(asked, year=match[3], month=int(month), day=day)
    ]


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
    length = _DAYS[unit]
    middle = asked.today - timedelta(days=count * length)
    half = timedelta(days=length // 2)
    return asked.between(middle - half, middle + half + timedelta(days=1))


def _past(match: re.Match[str], asked: _Asked) -> list[Period]:
    days = _count(match[1] or "1") * _DAYS[match[2]]
    return asked.between(asked.today - timedelta(days=days), asked.today + timedelta(days=1))


def _count(word: str) -> int:
    return _NUMBERS[word] if word in _NUMBERS else int(word)


def _with_month(match: re.Match[str]) -> str:
    """A day, and what follows it, with the month and the year of a later day."""
    return f"{match[1]} {match[4]}{f' {match[5]}' if match[5] else ''}{match[2]}"


def _after(words: str) -> str:
    """A pattern for what stands after one of `words`, without them: looking back is of fixed width, so one for each."""
    return "|".join(rf"(?<=\b{word} )" for word in words.split("|"))


_JOINT = re.compile(rf"\s*({_TO}|and)\s*(?:in |the )?")
_BETWEEN = re.compile(r"\bbetween (?:the )?$")
_BOUND = re.compile(
    rf"(?:(?:{_COUNT}|the) {_UNIT}s? )?\b(before|prior to|until|till|by|after|since) (?:the )?$"
)
_SAME_AS = {"prior to": "before", "till": "until", "by": "until"}

_LIST = rf"(,? (?:and|or) |, | ?(?:{_DASH}) ?| (?:{_TO}) )"
_SPELLINGS = (
    (re.compile(rf"\b{_DAY}{_LIST}(?={_DAY}(?: of)? ({_MONTH})(?:,? {_YEAR})?\b)"), _with_month),
    (re.compile(rf"\b({_MONTH}){_LIST}(?=(?:{_MONTH}),? {_YEAR}\b)"), r"\1 \3\2"),
    (re.compile(rf"\b({_PREPOSITIONS}) ({_MONTH}){_LIST}({_MONTH})\b"), r"\1 \2\3in \4"),
)
"""What is written once for several dates."""

_Reader = Callable[[re.Match[str], _Asked], list[Period]]


def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern}\b")


_PATTERNS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (
        re.compile(rf"\b{_YEAR}-(\d\d)-(\d\d)(?!\d)"),
        lambda m, asked: _in_calendar(asked, year=m[1], month=int(m[2]), day=m[3]),
    ),
    (_pattern(rf"(\d{{1,2}})[/.](\d{{1,2}})[/.]{_YEAR}"), _in_figures),
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
        _pattern(rf"(?:{_after(_PREPOSITIONS)})({_MONTH})"),
        lambda m, asked: _in_calendar(asked, year=None, month=_month_number(m[1])),
    ),
    (_pattern(rf"last ({_MONTH})"), _last_month),
    (_pattern(_YEAR), _whole_year),
    (_pattern(r"(the day before yesterday|yesterday|today)"), _near_day),
    (_pattern(rf"(?:last|on) ({_WEEKDAY})"), _weekday),
    (_pattern(rf"{_COUNT} {_UNIT}s? ago"), _ago),
    (_pattern(rf"(?:in|over|during|within) the (?:last|past) (?:{_COUNT} )?{_UNIT}s?"), _past),
    (_pattern(r"(this|last) (week|weekend|month|year)"), _unit),
)
"""In this order: what a pattern reads is taken out of the text before the next one looks."""
