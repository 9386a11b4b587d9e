"""Which candidates may be returned. What is filtered out still passes activation on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from aspen.repository import NO_TIME, to_microseconds
from aspen.resonance_search.snapshot import Candidates


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be; None asks for nothing.

    types, provenances: one of these; tags: at least one of these; speaker: this one; since, until: said at this time
    or later, and before that one; exclude: seqs that must not come back.
    """

    types: Collection[str] | None = None
    tags: Collection[str] | None = None
    provenances: Collection[str] | None = None
    speaker: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    exclude: Collection[int] = ()

    def allowed(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Which candidates pass, bool [n]. One without a time passes no limit of time."""
        allowed = ~np.isin(candidates.seqs, list(self.exclude))
        if self.types is not None:
            allowed &= np.isin(candidates.priority.types, list(self.types))
        if self.provenances is not None:
            allowed &= np.isin(candidates.provenances, list(self.provenances))
        if self.tags is not None:
            wanted = set(self.tags)
            allowed &= np.array([not wanted.isdisjoint(own) for own in candidates.tags], dtype=np.bool_)
        if self.speaker is not None:
            allowed &= candidates.speakers == candidates.speaker_codes.get(self.speaker, -1)
        if self.since is not None:
            allowed &= (candidates.said_at != NO_TIME) & (candidates.said_at >= to_microseconds(self.since))
        if self.until is not None:
            allowed &= (candidates.said_at != NO_TIME) & (candidates.said_at < to_microseconds(self.until))
        return allowed
