"""Contexts of a model, lent to sessions and passes: making one takes longer than a short pass."""

from __future__ import annotations

import contextlib
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator

from aspen.models._llama_cpp.context import Context, Weights
from aspen.models.memory import SMALLEST_CONTEXT

_BLOCK = 256  # llama.cpp pads a context to so many
_IDLE = 2  # contexts of a kind that are kept for the next one
_KEPT = 2 * SMALLEST_CONTEXT  # tokens; larger ones take more memory than time to make


class Lease:
    """The context of one borrower. It can be exchanged for a larger one, and goes back once `owner` is gone."""

    def __init__(self, pool: Pool, *, watched: bool) -> None:
        self._pool = pool
        self._watched = watched
        self._context: Context | None = None

    @property
    def held(self) -> Context | None:
        """The present context; None before the first one."""
        return self._context

    def bind(self, owner: object) -> None:
        """Give the context back when `owner` is collected."""
        weakref.finalize(owner, self.release).atexit = False

    def context(self, tokens: int) -> Context:
        """A context that has room for so many tokens; what an earlier, smaller one held is in it."""
        held = self._context
        if held is not None and held.capacity >= tokens:
            return held
        larger = self._pool.lend(tokens, watched=self._watched)
        if held is not None:
            larger.restore(held.state())
        # Before the other goes back: an interrupt in between must not leave that with two owners.
        self._context = larger
        if held is not None:
            self._pool.take_back(held)
        return larger

    def release(self) -> None:
        """Give the context back. Another is lent where one is asked for again."""
        held, self._context = self._context, None
        if held is not None:
            self._pool.take_back(held)


class Pool:
    """Idle contexts by capacity. Safe to share between threads: it only appends to lists and pops from them.

    `check_memory` raises ModelError where a context of so many tokens is too large for this machine.
    """

    def __init__(
        self, weights: Weights, *, context_length: int, threads: int, check_memory: Callable[[int], None]
    ) -> None:
        self._weights = weights
        self._largest = _padded(context_length)
        self._threads = threads
        self._check_memory = check_memory
        self._idle: defaultdict[tuple[int, bool], list[Context]] = defaultdict(list)

    def lend(self, tokens: int, *, watched: bool) -> Context:
        """An empty context for at least `tokens` tokens, and beyond what the model was made for only where they are."""
        capacity = SMALLEST_CONTEXT
        while capacity < tokens:
            capacity *= 2
        capacity = min(capacity, max(self._largest, _padded(tokens)))
        try:
            context = self._idle[capacity, watched].pop()
        except IndexError:
            self._check_memory(capacity)
            return Context(self._weights, capacity=capacity, threads=self._threads, watched=watched)
        context.clear()
        return context

    def take_back(self, context: Context) -> None:
        """Keep a context for the next one, or let it go. Short: where a session is collected, nothing can be raised."""
        idle = self._idle[context.capacity, context.watched]
        if context.capacity <= _KEPT and len(idle) < _IDLE:
            idle.append(context)

    @contextlib.contextmanager
    def lent(self, tokens: int, *, watched: bool) -> Iterator[Context]:
        """`lend`, for the time of a with statement."""
        context = self.lend(tokens, watched=watched)
        try:
            yield context
        finally:
            self.take_back(context)


def _padded(tokens: int) -> int:
    """The room of a context that is asked for so many."""
    return -(-tokens // _BLOCK) * _BLOCK
