"""Signals wait while llama.cpp runs, for what calls back cannot raise.

Python runs the handler of a signal in the main thread, before the next bytecode. Where that is the first one of a
function that C has called, what the handler raises (KeyboardInterrupt) is out of reach of any `try` in it: ctypes
prints it, gives C a zero, and the program goes on.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Collection
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGBREAK")  # not all everywhere
_NUMBERS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

_MOMENT = 0.01  # seconds


class DeferredSignals:
    """Within it the handlers that the program has for signals are not called; behind it they are.

    What they raise replaces what was raised within it. Other threads than the main one are never interrupted, and
    nothing is changed there.

    With `again` the handlers are not called behind it either, but the signals are sent once more a moment later: for
    what runs while an object is collected, where Python drops what is raised.
    """

    def __init__(self, *, again: bool = False) -> None:
        self._again = again
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
        if self._again:
            send_later({number for number, _ in self._came})
            self._came.clear()
        for number, frame in self._came:
            try:
                self._handlers[number](number, frame)
            except BaseException as other:  # noqa: BLE001 - raised below, when all were called
                raised = raised or other
        if raised is not None:
            raise raised

    def _restore(self) -> BaseException | None:
        """Put all handlers back, whatever comes meanwhile; what one that is back has raised."""
        raised: BaseException | None = None
        while True:
            try:
                for number, handler in self._handlers.items():
                    if signal.getsignal(number) is not handler:
                        signal.signal(number, handler)
                self._waits = False
            except BaseException as error:  # noqa: BLE001 - of a handler that is back already
                raised = raised or error
            else:
                return raised

    @property
    def waits(self) -> bool:
        """Whether signals are held back: in the main thread, within it."""
        return self._waits

    @property
    def interrupted(self) -> bool:
        """Whether KeyboardInterrupt will be raised behind it. Of handlers of a program's own that cannot be known."""
        return any(self._handlers[number] is signal.default_int_handler for number, _ in self._came)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            self._came.append((number, frame))
        else:  # of a C call that is over
            self._handlers[number](number, frame)


def send_later(numbers: Collection[int]) -> None:
    """Send these signals to the main thread once what runs now has had time to end."""
    if numbers:
        sender = threading.Timer(_MOMENT, _send, [numbers])
        sender.daemon = True
        sender.start()


def _send(numbers: Collection[int]) -> None:
    for number in numbers:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:  # Windows, where a call that waits is not woken by it
            _thread.interrupt_main(signal.Signals(number))
