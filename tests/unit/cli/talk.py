"""A program on a pseudo-terminal, with somebody who types."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

fcntl = pytest.importorskip("fcntl", reason="pseudo-terminals are a matter of Unix")
pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")


class Talk:
    """A program, and what it shows on a pseudo-terminal of its own."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        self._keys, terminal = pty.openpty()
        self._shown = ""

        def own_terminal() -> None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)  # which then makes SIGINT of Ctrl-C
            # Whatever started the tests in the background has SIGINT ignored, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=own_terminal,  # noqa: PLW1509 - one thread
            # No colours, and no modes of readline.
            env={**environment, "TERM": "dumb", "PYTHONFAULTHANDLER": "1"},
        )
        os.close(terminal)

    def press(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def until(self, text: str) -> str:
        """What was shown since the last call, up to the end of `text`."""
        self._read(lambda: text in self._shown)
        assert text in self._shown, f"{text!r} is not in {self._shown!r}"
        shown, end, self._shown = self._shown.partition(text)
        return shown + end

    def rest(self) -> str:
        """What was shown since the last call, up to the end of the program."""
        if not self._read(lambda: False):
            self.process.send_signal(signal.SIGABRT)  # on which it shows where it is
            self._read(lambda: False, seconds=10)
            pytest.fail(f"the program goes on: {self._shown}")
        self.process.wait(timeout=60)
        return self._shown

    def interrupt_waiting(self) -> str:
        """What was shown from Ctrl-C, where a line is waited for, up to the end of the program.

        `input()` shows what it asks and then sleeps until a key comes: it sees a signal in between only after the
        next key. So Ctrl-C is pressed again where nothing happens, as a person would, and then sent from elsewhere.
        """
        for interrupt in (self._press_ctrl_c, self._press_ctrl_c, self._send_sigint, self._send_sigint):
            interrupt()
            if self._read(lambda: False, seconds=10):
                break
        return self.rest()

    def _press_ctrl_c(self) -> None:
        self.press("\x03")

    def _send_sigint(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def _read(self, done: Callable[[], bool], *, seconds: float = 60) -> bool:
        """Take what is shown until it is done or the time is over; whether the program has ended."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            if not select.select([self._keys], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._keys, 4096)
            except OSError:  # Linux, when nobody has the terminal any more
                return True
            if not piece:  # the other ones
                return True
            self._shown += piece.decode().replace("\r", "")
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keys)
