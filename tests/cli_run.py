"""Types for tests of the command line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        assert self.err == ""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """A table as a pipe gets it."""
        assert self.code == 0, self.err
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def plain(self) -> str:
        """What a terminal shows, on one line without colours."""
        assert self.code == 0, self.err
        return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", self.out).split())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Cli = Callable[..., Result]
