"""Priors: what lifts a memory without likeness to the prompt. They are added as they are, and do not spread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from aspen.resonance_search.arms import Query, Unavailable
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
