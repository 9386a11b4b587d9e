"""Where a page of a list ended: cursors, and the order of lists that a store does not sort."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.memory_graph import PriorityFacts, current_priority
from aspen.repository import NO_TIME, PriorityRows, to_microseconds
from aspen.types import MemorySort

_DECIMALS = 9
"""Of a priority that is compared: the last bits depend on how many are computed at once."""
_LONGEST = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: behind the memory `seq`, whose `value` the list is sorted by.

    question: what the list is of, as a digest; now: the moment at which priorities count, so that the order stays while
    somebody turns the pages.
    """

    question: str
    now: datetime
    value: float | int
    seq: int

    def __str__(self) -> str:
        body = json.dumps([self.question, to_microseconds(self.now), self.value, self.seq])
        return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: object, *, question: str) -> Cursor:
        """The inverse of `str`; InvalidInput for what is no cursor, or one of another question."""
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise _refused("This is no cursor.")
        try:
            body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            asked, microseconds, value, seq = json.loads(body)
            now = _EPOCH + timedelta(microseconds=microseconds)
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused("This is no cursor.") from error
        numbers = all(isinstance(number, int | float) and abs(number) < 2**63 for number in (value, seq))
        if not numbers or not isinstance(seq, int) or isinstance(seq, bool):
            raise _refused("This is no cursor.")
        if asked != question:
            raise _refused("The cursor belongs to a list with another order or other filters.")
        return cls(question, now, value, seq)


def _refused(message: str) -> InvalidInput:
    return InvalidInput(message, hint="Ask without a cursor: that is the first page.")


@dataclass(frozen=True, slots=True)
class Ordered:
    """A list in its order: seqs, int64 [n], and by what they are sorted, float64 or int64 [n]."""

    seqs: NDArray[np.int64]
    values: NDArray[np.float64] | NDArray[np.int64]

    @classmethod
    def of(cls, rows: PriorityRows, *, sort: MemorySort, least: float, now: datetime) -> Ordered:
        """Those of `rows` whose priority at `now` is `least` or more."""
        priority = np.round(current_priority(_facts(rows), now=now), _DECIMALS)
        kept = priority >= least
        seqs = rows.seqs[kept]
        if sort is MemorySort.PRIORITY:
            values: NDArray[np.float64] | NDArray[np.int64] = priority[kept]
        elif sort is MemorySort.USED:
            # One more than NO_TIME, so that it has a negative.
            values = np.where(rows.counts > 0, rows.used_at, NO_TIME + 1)[kept]
        else:
            values = -seqs if sort is MemorySort.OLDEST else seqs
        order = np.lexsort((-seqs, -values))
        return cls(seqs[order], values[order])

    def behind(self, cursor: Cursor) -> Ordered:
        """What comes after a place."""
        after = (self.values < cursor.value) | ((self.values == cursor.value) & (self.seqs < cursor.seq))
        return Ordered(self.seqs[after], self.values[after])


def _facts(rows: PriorityRows) -> PriorityFacts:
    return PriorityFacts(
        types=np.array(rows.types, dtype=np.str_),
        stabilities=np.array(rows.stabilities, dtype=np.str_),
        importances=rows.importances,
        emotions=rows.emotions,
        counts=rows.counts,
        used_at=rows.used_at,
    )
