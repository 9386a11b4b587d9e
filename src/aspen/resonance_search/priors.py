"""Priors: what lifts a memory without likeness to the prompt. They are added as they are, and do not spread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from aspen.repository import NO_TIME
from aspen.resonance_search.arms import Query, Unavailable
from aspen.resonance_search.dates import periods_in
from aspen.resonance_search.names import named_in
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray

QUESTION = "question"
"""Trait of a turn that asks: it seldom holds what is asked for."""
TRAIT_WEIGHTS: Mapping[str, float] = {QUESTION: -0.4, "instruction": 2.0, "preference": 0.5}
"""What a memory gets for each of its traits, in standard deviations of an arm.

A standing instruction counts whatever is asked, so it is lifted nearly to the hits; measured in
docs/benchmarks/recall.md.
"""


_RARITY = 0.3  # what a named subject gains by being rare; measured in docs/benchmarks/recall.md
_DATE_RARITY = 0.5  # the same of a time
_MOST = 0.5  # a time in which more than this share of the candidates was said tells nothing
_TRAILING_NOTE = re.compile(r"\s*\[[^\[\]]*\]\s*$")  # as of a picture that was shared


def traits_of(text: str) -> dict[str, float]:
    """Traits that the text alone shows."""
    asks = _TRAILING_NOTE.sub("", text).rstrip().endswith("?")
    return {QUESTION: 1.0} if asks else {}


class Prior(Protocol):
    """One reason to lift or lower candidates."""

    name: str

    def lift(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """What each candidate gets, float32 [n], in standard deviations of an arm."""


class SubjectPrior:
    """Whoever is named in the prompt: memories about them are lifted, the more the fewer there are.

    "What did Mara say about Lisbon?" is asked of Mara's turns, though hardly a word in them is "Mara".
    """

    name = "subject"

    def lift(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """`1 + _RARITY x ln(candidates / memories about it)` where the subject is named, 0 for all others."""
        codes = {candidates.subject_codes.get(name, 0) for name in named_in(query.text)} - {0}
        named = np.isin(candidates.subjects, list(codes))
        if not named.any():
            return Unavailable("the prompt names nobody and nothing that a memory is about")
        about = np.bincount(candidates.subjects)[candidates.subjects]
        lift = 1 + _RARITY * np.log(len(about) / about)
        return np.where(named, lift, 0).astype(np.float32)


class DatePrior:
    """When the prompt names a time: memories said then are lifted, the more the fewer there are."""

    name = "dates"

    def lift(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """`1 + _DATE_RARITY x ln(candidates / memories of that time)` where it was said then, 0 for all others."""
        known = candidates.said_at != NO_TIME
        if not known.any():
            return Unavailable("no candidate has a time")
        times = candidates.said_at.astype("datetime64[us]")
        years = np.unique(times[known].astype("datetime64[Y]")).astype(int) + 1970
        try:
            periods = [
                (_as_datetime64(period.start), _as_datetime64(period.end))
                for period in periods_in(query.text, now=query.asked_at, years=years.tolist())
            ]
        except OverflowError:
            return Unavailable("the prompt names a time outside the years 1 to 9999")
        then = np.zeros(len(times), dtype=np.bool_)
        for start, end in periods:
            then |= known & (times >= start) & (times < end)
        if not then.any():
            return Unavailable("the prompt names no time" if not periods else "nothing was said at that time")
        share = float(then.mean())
        if share > _MOST:
            return Unavailable("most candidates are of the time that the prompt names")
        return np.where(then, 1 - _DATE_RARITY * np.log(share), 0).astype(np.float32)


def _as_datetime64(time: datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


class TraitPrior:
    """What kind of statement a memory is."""

    name = "traits"

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        """A memory gets, summed over its traits, `weight x strength^2`: what is only likely counts little."""
        self._weights = weights

    def lift(self, query: Query, candidates: Candidates) -> FloatArray | Unavailable:
        """See `__init__`."""
        known = [name for name in self._weights if name in candidates.traits]
        if not known:
            return Unavailable("no memory has a trait that counts")
        lift = sum(self._weights[name] * candidates.traits[name] ** 2 for name in known)
        return np.asarray(lift, dtype=np.float32)
