from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aspen.errors import InvalidInput, NotFound
from aspen.server.generating import Generations
from aspen.server.jobs import Job, Jobs, JobState, Progress
from aspen.server.problems import Busy, Refused


@asynccontextmanager
async def opened() -> AsyncIterator[Jobs]:
    generations = Generations(waiting=1)
    jobs = Jobs(generations=generations)
    yield jobs
    await jobs.close(seconds=0)
    await generations.close()


def run(test: Callable[[Jobs], Any]) -> None:
    async def whole() -> None:
        async with opened() as jobs:
            await asyncio.wait_for(test(jobs), timeout=20)

    asyncio.run(whole())


async def until(jobs: Jobs, job: Job, *states: JobState) -> Job:
    while (now := jobs.get(job.id)).state not in states:
        await asyncio.sleep(0.005)
    return now


class Gate:
    """Work that goes on when it is told to."""

    def __init__(self, steps: int = 3) -> None:
        self.steps = steps
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> dict[str, Any]:
        self.begun.set()
        self.open.wait(10)
        for step in range(self.steps):
            progress.report(step, total=self.steps, message=f"step {step}")
        return {"steps": self.steps}


def test_a_job_tells_how_far_it_is_and_what_came_out() -> None:
    async def test(jobs: Jobs) -> None:
        gate = Gate()
        job = jobs.start("count", gate, unit="steps")
        assert (job.state, job.unit) == (JobState.QUEUED, "steps")
        running = await until(jobs, job, JobState.RUNNING)
        assert running.started_at is not None
        gate.open.set()
        done = await until(jobs, job, JobState.DONE)
        assert (done.done, done.total, done.result, done.problem) == (3, 3, {"steps": 3}, None)
        assert done.finished_at is not None

    run(test)


def test_a_job_without_steps_is_done_whole() -> None:
    async def test(jobs: Jobs) -> None:
        job = jobs.start("quick", lambda progress: {}, unit="runs")
        assert (job.done, job.total) == (0, None)
        done = await until(jobs, job, JobState.DONE)
        assert (done.done, done.total) == (1, 1)

    run(test)


def test_a_job_that_fails_says_why() -> None:
    def work(progress: Progress) -> dict[str, Any]:
        raise InvalidInput("Not so.", hint="Otherwise.")

    async def test(jobs: Jobs) -> None:
        ended = []
        job = jobs.start("fail", work, unit="steps", after=lambda: ended.append(True))
        failed = await until(jobs, job, JobState.FAILED)
        assert failed.problem is not None
        assert (failed.problem["error"], failed.problem["hint"]) == ("InvalidInput", "Otherwise.")
        assert ended == [True]

    run(test)


def test_a_running_job_is_cancelled_at_its_next_step_and_a_waiting_one_at_once() -> None:
    async def test(jobs: Jobs) -> None:
        first, second, ended = Gate(), Gate(), []
        running = jobs.start("first", first, unit="steps")
        waiting = jobs.start("second", second, unit="steps", after=lambda: ended.append(True))
        await until(jobs, running, JobState.RUNNING)
        assert jobs.cancel(waiting.id).state is JobState.CANCELLED
        assert jobs.cancel(running.id).state is JobState.RUNNING
        first.open.set()
        cancelled = await until(jobs, running, JobState.CANCELLED)
        assert cancelled.result is None
        with pytest.raises(Refused, match="ended already"):
            jobs.cancel(running.id)
        while not ended:
            await asyncio.sleep(0.005)
        assert not second.begun.is_set()

    run(test)


def test_one_job_runs_at_a_time_and_so_many_may_wait() -> None:
    async def test(jobs: Jobs) -> None:
        gates = [Gate() for _ in range(21)]
        started = [jobs.start("job", gates[0], unit="steps")]
        await until(jobs, started[0], JobState.RUNNING)
        started += [jobs.start("job", gate, unit="steps") for gate in gates[1:]]
        with pytest.raises(Refused, match="20 jobs"):
            jobs.start("one more", Gate(), unit="steps")
        assert not gates[1].begun.is_set()
        for gate in gates:
            gate.open.set()
        await until(jobs, started[-1], JobState.DONE)
        assert [job.id for job in jobs.listed()][-1] == started[0].id

    run(test)


def test_who_watches_sees_the_last_state_and_is_let_go_at_the_end() -> None:
    async def test(jobs: Jobs) -> None:
        gate = Gate()
        job = jobs.start("count", gate, unit="steps")
        gate.open.set()
        seen = [now.state async for now in jobs.watch(job.id)]
        assert seen[-1] is JobState.DONE
        other = jobs.start("wait", Gate(), unit="steps")
        jobs.begin_to_close()
        seen = [now.state async for now in jobs.watch(other.id)]
        assert len(seen) <= 2

    run(test)


def test_who_watches_slowly_sees_the_last_state_too() -> None:
    async def test(jobs: Jobs) -> None:
        gate = Gate()
        job = jobs.start("count", gate, unit="steps")
        await until(jobs, job, JobState.RUNNING)
        watched = jobs.watch(job.id)
        assert (await anext(watched)).state is JobState.RUNNING
        gate.open.set()
        await until(jobs, job, JobState.DONE)
        assert [now.state async for now in watched] == [JobState.DONE]

    run(test)


def test_who_waits_and_is_cancelled_makes_room_at_once() -> None:
    """Nothing stays behind of a job that was cancelled before its turn: neither its file nor its place."""

    async def test(jobs: Jobs) -> None:
        gates = Gate(), Gate()
        ended: list[int] = []
        for gate, generates in zip(gates, (False, True), strict=True):
            running = jobs.start("first", gate, unit="steps", generates=generates)
            await until(jobs, running, JobState.RUNNING)
        for number in range(50):
            job = jobs.start(
                "more",
                Gate(),
                unit="steps",
                generates=number % 2 == 0,
                after=lambda number=number: ended.append(number),  # type: ignore[misc]
            )
            assert jobs.cancel(job.id).state is JobState.CANCELLED
            await asyncio.sleep(0.005)
        assert ended == list(range(50))  # while the first ones still run
        for gate in gates:
            gate.open.set()

    run(test)


def test_jobs_that_generate_take_their_turn_among_the_generations() -> None:
    async def test(jobs: Jobs) -> None:
        first, second, other = Gate(), Gate(), Gate()
        one = jobs.start("replay", first, unit="runs", generates=True)
        two = jobs.start("replay", second, unit="runs", generates=True)
        beside = jobs.start("import", other, unit="files")
        await until(jobs, one, JobState.RUNNING)
        await until(jobs, beside, JobState.RUNNING)
        assert jobs.get(two.id).state is JobState.QUEUED
        with pytest.raises(Busy):
            jobs.start("replay", Gate(), unit="runs", generates=True)
        for gate in (first, second, other):
            gate.open.set()
        await until(jobs, two, JobState.DONE)

    run(test)


def test_a_close_waits_for_what_runs_and_then_cancels_it() -> None:
    async def whole() -> None:
        generations = Generations(waiting=1)
        jobs = Jobs(generations=generations)
        gate = Gate()
        quick = jobs.start("quick", gate, unit="steps")
        await until(jobs, quick, JobState.RUNNING)
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
        await jobs.close(seconds=10)
        assert jobs.get(quick.id).state is JobState.DONE
        with pytest.raises(Busy):
            jobs.start("late", Gate(), unit="steps")
        await generations.close()

    asyncio.run(whole())


def test_an_end_waits_once_so_long_and_not_again() -> None:
    async def whole() -> None:
        generations = Generations(waiting=1)
        jobs = Jobs(generations=generations)
        gate = Gate()
        slow = jobs.start("slow", gate, unit="steps")
        await until(jobs, slow, JobState.RUNNING)
        jobs.begin_to_close()
        await asyncio.sleep(0.3)  # uvicorn waits for responses meanwhile
        asyncio.get_running_loop().call_later(0.2, gate.open.set)
        await jobs.close(seconds=0.3)
        assert jobs.get(slow.id).state is JobState.CANCELLED
        await generations.close()

    asyncio.run(whole())


def test_a_job_that_there_is_not() -> None:
    async def test(jobs: Jobs) -> None:
        with pytest.raises(NotFound, match="j_0"):
            jobs.get("j_0")

    run(test)


def test_old_jobs_are_forgotten_and_running_ones_are_not() -> None:
    async def test(jobs: Jobs) -> None:
        gate = Gate()
        held = jobs.start("held", gate, unit="runs", generates=True)
        for _ in range(230):
            job = jobs.start("quick", lambda progress: {}, unit="steps")
            await until(jobs, job, JobState.DONE)
        assert 200 <= len(jobs.listed()) <= 203
        assert jobs.get(held.id).state is not JobState.DONE
        gate.open.set()
        await until(jobs, held, JobState.DONE)

    run(test)
