"""What the doctor finds, and the words for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from aspen.errors import AspenError


class Status(StrEnum):
    """How a part does."""

    OK = "ok"
    WARNING = "warning"  # it works, and could do better or soon will not
    PROBLEM = "problem"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` is what to do, a command wherever there is one; empty where all is well."""

    name: str
    status: Status
    what: str
    fix: str = ""


def broken(name: str, error: AspenError) -> Finding:
    """A problem, in the words of an error."""
    return Finding(name, Status.PROBLEM, error.message, error.hint)


def export_anew(where: str) -> str:
    """The command that makes a new store of what can be read of one."""
    export = f"aspen export --output rescued.jsonl --store {quoted(where)}"
    return f"{export} && aspen import rescued.jsonl --store new.db"


def quoted(path: str) -> str:
    """A path as a shell takes it."""
    return shlex.quote(path)
