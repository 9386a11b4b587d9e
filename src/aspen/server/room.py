"""What a running server has at hand: the store, the queue of generations, jobs, and what it noticed."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from aspen.aspen import Aspen
from aspen.errors import AspenError
from aspen.repository import StoreStats
from aspen.server.generating import Generations
from aspen.server.jobs import Jobs
from aspen.server.problems import problem_of
from aspen.server.settings import ServerSettings
from aspen.types import Recall

_SLOWEST = 10
_SLOW_SECONDS = 1.0

ModelState = Literal["unloaded", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class SlowRecall:
    """A recall that took long, by when and how long; not for what. `arms` by name, all in seconds."""

    at: datetime
    seconds: float
    candidates: int
    arms: dict[str, float]


class Room:
    """Made once for each server; its queues belong to the event loop that `open` runs in."""

    def __init__(self, aspen: Aspen, *, settings: ServerSettings, warm: bool) -> None:
        self.aspen = aspen
        self.settings = settings
        self.model_state: ModelState = "unloaded"
        self.model_problem: dict[str, object] | None = None
        self._warm = warm
        self._slow: deque[SlowRecall] = deque(maxlen=_SLOWEST)
        self._stats: tuple[int, StoreStats] | None = None

    async def open(self) -> None:
        """Make the queues, and begin to load the model: the first to ask should not wait for it."""
        self.generations = Generations(waiting=self.settings.waiting)
        self.jobs = Jobs(generations=self.generations)
        if self._warm:
            threading.Thread(target=self.load_model, name="aspen-load", daemon=True).start()

    async def close(self) -> None:
        """End what is under way: what was answered is stored, and nothing is half-written."""
        await self.jobs.close(seconds=self.settings.grace_seconds)
        await self.generations.close()

    def load_model(self) -> None:
        """Load the model now; where that fails, `model_problem` says why, and each request that needs it, too."""
        self.model_state = "loading"
        try:
            _ = self.aspen.engine
        except AspenError as error:
            self.model_state, self.model_problem = "failed", problem_of(error)
        else:
            self.model_state = "ready"

    def note(self, recall: Recall) -> None:
        """Remember that a recall took long, if it did."""
        if recall.seconds >= _SLOW_SECONDS:
            arms = {arm.name: arm.seconds for arm in recall.arms}
            self._slow.appendleft(SlowRecall(datetime.now(UTC), recall.seconds, recall.candidates, arms))

    @property
    def slow_recalls(self) -> list[SlowRecall]:
        """The last ones, newest first."""
        return list(self._slow)

    def stats(self) -> StoreStats:
        """Of the store; counted anew where it has changed, for that may read all of it."""
        revision = self.aspen.repository.revision()
        if self._stats is None or self._stats[0] != revision:
            self._stats = revision, self.aspen.repository.stats()
        return self._stats[1]
