"""Signals wait while llama.cpp runs, for what calls back cannot raise.

Python runs the handler of a signal in the main thread, before the next bytecode. Where that is the first one of a
function that C has called, what the handler raises (KeyboardInterrupt) is out of reach of any `try` in it: ctypes
prints it, gives C a zero, and the program goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGBREAK")  # not all everywhere
_NUMBERS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class DeferredSignals:
    """Within it the handlers that the program has for signals are not called; behind it they are.

    What they raise replaces what was raised within it. Other threads than the main one are never interrupted, and
    nothing is changed there.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._came: list[tuple[int, FrameType | None]] = []
        self._waits = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _NUMBERS}
            self._handlers = {number: handler for number, handler in found.items() if callable(handler)}
            self._waits = True
            try:
                for number in self._handlers:
                    signal.signal(number, self._hold)
            except BaseException:  # of a handler that still had its place
                self._restore()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raised = self._restore()
        for number, frame in self._came:
            try:
                self._handlers[number](number, frame)
            except BaseException as other:  # noqa: BLE001 - raised below, when all were called
                raised = raised or other
        if raised is not None:
            raise raised

    def _restore(self) -> BaseException | None:
        """Put all handlers back, whatever comes meanwhile; what one that is back has raised."""
        raised = None
        for number, handler in self._handlers.items():
            while signal.getsignal(number) is not handler:
                try:
                    signal.signal(number, handler)
                except BaseException as error:  # noqa: BLE001 - of a handler that is back already
                    raised = raised or error
        self._waits = False
        return raised

    @property
    def interrupted(self) -> bool:
        """Whether KeyboardInterrupt will be raised behind it. Of handlers of a program's own that cannot be known."""
        return any(self._handlers[number] is signal.default_int_handler for number, _ in self._came)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            self._came.append((number, frame))
        else:  # of a C call that is over
            self._handlers[number](number, frame)
