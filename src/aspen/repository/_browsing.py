"""Looking through memories, the same in every store: what may be asked for, and how days are counted."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from aspen.repository import _incoming as incoming
from aspen.repository.values import MAX_TERM_LENGTH, DayCount, MemoryFilter
from aspen.types import MemoryType, Provenance, Stability
from aspen.validation import check_choice, check_name, check_time

FIRST_DAY = incoming.to_microseconds(datetime(1, 1, 1, tzinfo=UTC))
"""No time lies before it; microseconds since 1970."""
DAY = 86_400_000_000
"""Microseconds."""
_LAST_CHARACTER = "\U0010ffff"

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class TermRange:
    """Terms from `first` to `last` by code point, both of them included."""

    first: str
    last: str

    def has_one(self, terms: Iterable[str]) -> bool:
        """Whether one of `terms` lies in it."""
        return any(self.first <= term <= self.last for term in terms)


_NOTHING = TermRange(_LAST_CHARACTER, "")


def checked_filter(wanted: MemoryFilter) -> MemoryFilter:
    """The filter with its times in UTC; InvalidInput for what no memory can be."""
    return replace(
        wanted,
        type=_choice(wanted.type, MemoryType, what="type"),
        tag=check_name(wanted.tag, what="tag"),
        speaker=check_name(wanted.speaker, what="speaker"),
        conversation=check_name(wanted.conversation, what="conversation"),
        provenance=_choice(wanted.provenance, Provenance, what="provenance"),
        stability=_choice(wanted.stability, Stability, what="stability"),
        since=check_time(wanted.since, what="since"),
        until=check_time(wanted.until, what="until"),
    )


def _choice(value: _Choice | None, choices: type[_Choice], *, what: str) -> _Choice | None:
    return None if value is None else check_choice(value, choices, what=what)


def term_ranges(wanted: MemoryFilter) -> list[TermRange]:
    """Of each of these, a term has to occur."""
    for word in wanted.words:
        incoming.check_sought(word, what="word")
    ranges = [TermRange(word, word) if incoming.findable(word) else _NOTHING for word in wanted.words]
    if wanted.beginning is not None:
        incoming.check_sought(wanted.beginning, what="beginning")
        last = wanted.beginning + _LAST_CHARACTER * MAX_TERM_LENGTH
        ranges.append(TermRange(wanted.beginning, last) if incoming.findable(last) else _NOTHING)
    return ranges


def filter_values(
    wanted: MemoryFilter, *, newest_first: bool = True, beyond: int | None = None
) -> dict[str, Any]:
    """The parameters of the part `wanted` of a statement, beside the words. `wanted` is checked."""
    edge = None if beyond is None else max(0, min(operator.index(beyond), incoming.MAX_SEQ))
    return {
        "before": edge if newest_first and edge is not None else incoming.MAX_SEQ,
        "after": edge if not newest_first and edge is not None else 0,
        "type": wanted.type and wanted.type.value,
        "tag": wanted.tag,
        "speaker": wanted.speaker,
        "conversation": wanted.conversation,
        "provenance": wanted.provenance and wanted.provenance.value,
        "stability": wanted.stability and wanted.stability.value,
        "since": wanted.since and incoming.to_microseconds(wanted.since),
        "until": wanted.until and incoming.to_microseconds(wanted.until),
    }


def is_everything(wanted: MemoryFilter) -> bool:
    """Whether every memory fits."""
    return wanted == MemoryFilter()


def day_count(day: int, memories: int, traces: int) -> DayCount:
    """Of a day that is counted from `FIRST_DAY`."""
    return DayCount(date.fromordinal(day + 1), memories, traces)
