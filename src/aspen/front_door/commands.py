"""Commands that a message tells a person to type: they have to do for the store and the model in use."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from aspen.config import Config
from aspen.errors import InvalidInput

_DEFAULT = "bundled"


def command(name: str, *, config: Config, store: str | Path | None = None, program: str = "aspen") -> str:
    """`aspen NAME --store STORE` as a shell takes it, run with the model and in the runtime that `config` names.

    Both are left out where they are taken anyway.
    """
    parts = [shlex.quote(program), name]
    if config.runtime:
        parts.insert(0, f"ASPEN_RUNTIME={shlex.quote(config.runtime)}")
    if store is not None:
        parts += ["--store", shlex.quote(str(store))]
    if not config.model == _DEFAULT == _taken_anyway():
        parts += ["--model", shlex.quote(config.model)]
    return " ".join(parts)


def _taken_anyway() -> str | None:
    """The model of a command that names none."""
    with suppress(InvalidInput):  # another setting is wrong, and was not read where a Config was handed in
        return Config.from_environment().model
    return None
