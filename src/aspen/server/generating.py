"""One generation at a time: a queue with a bound, and a way to stop what nobody waits for any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.requests import Request

from aspen.server.problems import Busy

_Result = TypeVar("_Result")


class Stopped(Exception):
    """Raised inside what runs, where it is to end: nobody waits for it, or a person cancelled it."""


class Stop:
    """Tells a thread to end, at the next moment when it looks."""

    def __init__(self) -> None:
        self._wanted = threading.Event()

    @property
    def wanted(self) -> bool:
        """Whether it is to end."""
        return self._wanted.is_set()

    def ask(self) -> None:
        """Let it end."""
        self._wanted.set()

    def check(self) -> None:
        """Raise Stopped where it is to end."""
        if self.wanted:
            raise Stopped


@dataclass(frozen=True, slots=True)
class Generation(Generic[_Result]):
    """A call of the model that waits for its turn or runs. `task` gives its result."""

    task: asyncio.Future[_Result]
    stop: Stop
    withdraw: Callable[[], bool]
    """Give up its turn; False where it runs, or ran, already."""


class Generations:
    """Runs what generates one after the other, in a thread of its own; others wait in the order they came.

    Recalls and edits do not come here: they run beside it.
    """

    def __init__(self, *, waiting: int) -> None:
        self._most = 1 + waiting
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aspen-generation")
        self._under_way: dict[asyncio.Future[Any], Stop] = {}

    @property
    def under_way(self) -> int:
        """How many run or wait."""
        return len(self._under_way)

    def start(self, call: Callable[[Stop], _Result], *, stop: Stop | None = None) -> Generation[_Result]:
        """Let `call` have its turn; Busy where too many wait already. It should look at the Stop it gets."""
        if len(self._under_way) >= self._most:
            raise Busy(
                f"{len(self._under_way) - 1} generations wait for their turn already.", retry_seconds=5
            )
        asked = stop or Stop()

        def unless_stopped() -> _Result:
            asked.check()  # it may have waited long
            return call(asked)

        future = self._pool.submit(unless_stopped)
        task = asyncio.wrap_future(future)
        self._under_way[task] = asked
        task.add_done_callback(self._ended)
        return Generation(task, asked, future.cancel)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        del self._under_way[task]
        if not task.cancelled():
            task.exception()  # told to whoever waits, if anybody still does

    async def result(self, request: Request, call: Callable[[Stop], _Result]) -> _Result:
        """What `call` gives; it is stopped where the client goes away first (Stopped)."""
        generation = self.start(call)
        gone = asyncio.ensure_future(_gone(request))
        either: set[asyncio.Future[Any]] = {generation.task, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not generation.task.done():
                generation.stop.ask()
                if generation.withdraw():  # its place is free for others at once
                    raise Stopped
            return await asyncio.shield(generation.task)
        finally:
            gone.cancel()
            generation.stop.ask()

    async def close(self) -> None:
        """Stop what runs and what waits, and wait until it has ended."""
        for stop in self._under_way.values():
            stop.ask()
        if self._under_way:
            await asyncio.wait(set(self._under_way))
        self._pool.shutdown()


async def _gone(request: Request) -> None:
    """Returns when the client has closed its connection; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
