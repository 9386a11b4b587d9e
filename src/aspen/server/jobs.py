"""Work that takes longer than a request: one job after the other, with progress, that can be cancelled.

Jobs live in memory, as long as the server does. What a job writes to the store is whole at every moment, so that one
that was cancelled, or lost with the server, can be asked for again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from aspen.errors import NotFound
from aspen.server.generating import Generations, Stop, Stopped
from aspen.server.problems import Busy, Refused, problem_of

_KEPT = 200
"""Jobs that ended and can still be asked for."""
_MOST_QUEUED = 20
_LOOK_SECONDS = 0.05


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is just now.

    `done` of `total`, in `unit`; `total` is null while it is not known. When it is done both are the same: 1 where it
    has no steps to count. `message` says what it is at. `result` is
    there when it is done, `problem` (as in problem+json) where it failed.
    """

    id: str
    kind: str
    state: JobState
    done: float
    total: float | None
    unit: str
    message: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


class Progress:
    """What a job tells while it runs; each report is also the moment when it may be cancelled."""

    def __init__(self, stop: Stop, tell: Callable[..., None]) -> None:
        self.stop = stop
        self._tell = tell

    def report(self, done: float, *, total: float | None = None, message: str | None = None) -> None:
        """So much is done. Raises Stopped where the job was cancelled."""
        self.stop.check()
        told: dict[str, object] = {"done": done}
        if total is not None:
            told["total"] = total
        if message is not None:
            told["message"] = message
        self._tell(**told)


Work = Callable[[Progress], Mapping[str, Any]]
"""What a job does, in a thread; returns its result as plain data."""


@dataclass(slots=True)
class _Running:
    """A job with what runs it. `version` counts what was told of it."""

    job: Job
    stop: Stop = field(default_factory=Stop)
    withdraw: Callable[[], bool] = lambda: False
    """Give up its turn; False where it runs, or ran, already."""
    version: int = 0


class Jobs:
    """All jobs of a server. Its methods belong to the event loop; what works runs in a thread."""

    def __init__(self, *, generations: Generations) -> None:
        self._generations = generations
        self._jobs: dict[str, _Running] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aspen-job")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._closed_at = 0.0

    def listed(self) -> list[Job]:
        """Newest first."""
        return [running.job for running in reversed(self._jobs.values())]

    def get(self, job_id: str) -> Job:
        """NotFound where there is none of this id, or it is long over."""
        return self._get(job_id).job

    def start(
        self,
        kind: str,
        work: Work,
        *,
        unit: str,
        generates: bool = False,
        after: Callable[[], None] = lambda: None,
    ) -> Job:
        """Let `work` have its turn; Refused with 429 where too many wait, with 503 where the server ends.

        `generates`: it takes its turn among the generations. `after` is called when it has ended, in whatever way.
        """
        waiting = sum(running.job.state is JobState.QUEUED for running in self._jobs.values())
        if self._closing:
            raise Busy("The server is about to end.")
        if waiting >= _MOST_QUEUED:
            raise Refused(
                429,
                error="TooManyJobs",
                detail=f"{waiting} jobs wait for their turn already.",
                hint="Let some of them end, or cancel them.",
                headers={"Retry-After": "10"},
            )
        id_ = f"j_{secrets.token_hex(8)}"
        job = Job(id_, kind, JobState.QUEUED, 0, None, unit, "waiting for its turn", datetime.now(UTC))
        running = _Running(job)
        result = self._begin(running, work, generates=generates)  # may be refused
        self._jobs[id_] = running
        self._tasks.add(task := asyncio.ensure_future(self._follow(running, result, after=after)))
        task.add_done_callback(self._tasks.discard)
        self._forget_oldest()
        return job

    def cancel(self, job_id: str) -> Job:
        """Let a job end, at its next report of progress; Refused with 409 where it has ended already."""
        running = self._get(job_id)
        if running.job.state in _ENDED:
            raise Refused(
                409, error="JobEnded", detail=f"The job {job_id} has ended already: {running.job.state}."
            )
        running.stop.ask()
        message = "is being cancelled"
        if running.withdraw():
            self._change(running, state=JobState.CANCELLED, message="", finished_at=datetime.now(UTC))
        else:
            self._change(running, message=message)
        return running.job

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """A job each time that something was told of it, until it has ended or the server stops."""
        running, seen = self._get(job_id), -1
        while True:
            if running.version != seen:
                seen = running.version
                yield running.job
                continue  # by the time that the client has it, there may be more to tell
            if running.job.state in _ENDED or self._closing:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def begin_to_close(self) -> None:
        """Cancel what waits, and let those who watch go."""
        if not self._closing:
            self._closing, self._closed_at = True, time.monotonic()
        for running in self._jobs.values():
            if running.job.state is JobState.QUEUED:
                self.cancel(running.job.id)

    async def close(self, *, seconds: float) -> None:
        """Wait for the job that runs until so long after the end began, then cancel it and wait until it has ended."""
        self.begin_to_close()
        left = seconds - (time.monotonic() - self._closed_at)
        if self._tasks and left > 0:
            await asyncio.wait(self._tasks, timeout=left)
        for running in self._jobs.values():
            running.stop.ask()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._pool.shutdown()

    def _get(self, job_id: str) -> _Running:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFound(
                f"There is no job {job_id!r}.",
                hint="Jobs are kept in memory: the oldest ones go, and all with the server.",
            ) from None

    def _begin(self, running: _Running, work: Work, *, generates: bool) -> asyncio.Future[Mapping[str, Any]]:
        """Let it wait for its turn; Refused where too much waits."""
        loop = asyncio.get_running_loop()

        def tell(**told: Any) -> None:
            loop.call_soon_threadsafe(lambda: self._change(running, **told))

        def whole(stop: Stop) -> Mapping[str, Any]:
            stop.check()
            tell(state=JobState.RUNNING, message="", started_at=datetime.now(UTC))
            return work(Progress(stop, tell))

        if generates:
            generation = self._generations.start(whole, stop=running.stop)
            running.withdraw = generation.withdraw
            return generation.task
        future = self._pool.submit(whole, running.stop)
        running.withdraw = future.cancel
        return asyncio.wrap_future(future)

    async def _follow(
        self, running: _Running, result: asyncio.Future[Mapping[str, Any]], *, after: Callable[[], None]
    ) -> None:
        ended: dict[str, Any]
        try:
            found = dict(await result)
            running.stop.check()  # where it has no step at which it could have been stopped
            ended = {"state": JobState.DONE, "result": found}
        except (Stopped, asyncio.CancelledError):  # the latter where it gave up its turn
            ended = {"state": JobState.CANCELLED}
        except Exception as error:  # noqa: BLE001 - told to whoever asks for the job
            ended = {"state": JobState.FAILED, "problem": problem_of(error)}
        after()
        await asyncio.sleep(0)  # what was told from the thread comes first
        if ended["state"] is JobState.DONE:
            job = running.job
            whole = job.total if job.total is not None else max(job.done, 1)
            ended |= {"done": whole, "total": whole}
        self._change(running, message="", finished_at=datetime.now(UTC), **ended)

    def _change(self, running: _Running, **told: Any) -> None:
        if running.job.state in _ENDED:
            return
        running.job = replace(running.job, **told)
        running.version += 1

    def _forget_oldest(self) -> None:
        over = [id_ for id_, running in self._jobs.items() if running.job.state in _ENDED]
        for id_ in over[: max(0, len(over) - _KEPT)]:
            del self._jobs[id_]
