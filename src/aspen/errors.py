"""Every error that Aspen raises on purpose, in one tree.

::

    AspenError
    ├── InvalidInput                a value from the caller is refused; nothing was written
    │   └── PromptTooLong           the prompt does not fit the model's context
    ├── NotFound                    no memory, trace or conversation has this id
    ├── Conflict                    it was changed since the caller read it; nothing was written
    │   └── AlreadyCorrected        something else holds in its place: that is to be changed
    ├── MissingDependency           an optional package is not installed
    ├── ModelError                  the language model cannot do what was asked
    │   ├── ModelNotFound           no such model, or it is not one Aspen can run
    │   └── NoChatTemplate          the model brings no chat template
    ├── StoreError                  the store cannot be read or written
    │   ├── StoreBusy               another process holds the store for too long
    │   ├── StoreNotWritable        read-only file or folder, or the disk is full
    │   ├── StoreVersionError       the file is not an Aspen store, or from a newer version
    │   └── ModelMismatch           the store's keys were made by another model
    ├── TraceError                  a trace cannot be used
    │   ├── TraceCorrupt            cut, altered, or not a trace at all
    │   └── TraceVersionError       written by another version of the format
    └── FragmentError               a stored KV fragment cannot be used; its text makes it again
        ├── FragmentCorrupt         cut, altered, or not a fragment of this version of the format
        └── FragmentMismatch        made by another model, or of another text

A message says what was expected and what came; `hint` says what to do about it. `details` carries the same
facts as data. Only the command line turns an error into an exit code.
"""

from __future__ import annotations

from typing import Any


class AspenError(Exception):
    """Base of the tree.

    Parameters
    ----------
    message:
        One sentence: what was expected, what came.
    hint:
        What the person can do about it; empty where there is nothing to do.
    details:
        The facts of the message as plain data, for `--json` and for logs.
    """

    #: Process exit code that the command line uses for this branch of the tree.
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def diagnostics(self) -> dict[str, Any]:
        """The error as plain data: `error`, `message`, `hint` and `details`."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "details": self.details,
        }


class InvalidInput(AspenError):
    """A value from the caller is refused; nothing was written."""

    exit_code = 2


class PromptTooLong(InvalidInput):
    """The prompt does not fit the model's context, even with all older history dropped."""


class NotFound(AspenError):
    """No memory, trace or conversation has this id."""

    exit_code = 3


class Conflict(AspenError):
    """It was changed since the caller read it; nothing was written."""

    exit_code = 8


class AlreadyCorrected(Conflict):
    """Another memory holds in the place of this one: that one is to be changed."""


class MissingDependency(AspenError):
    """An optional package is not installed; the hint is the exact command that installs it."""

    exit_code = 4


class ModelError(AspenError):
    """The language model cannot do what was asked."""

    exit_code = 4


class ModelNotFound(ModelError):
    """No such model, or it is not a decoder-only language model that Aspen can run."""


class NoChatTemplate(ModelError):
    """The model brings no chat template, so a conversation cannot be rendered for it."""


class StoreError(AspenError):
    """The store cannot be read or written."""

    exit_code = 5


class StoreBusy(StoreError):
    """Another process held the store for longer than the time to wait."""


class StoreNotWritable(StoreError):
    """The file or its folder is read-only, or the disk is full; nothing was half-written."""


class StoreVersionError(StoreError):
    """The file is not an Aspen store, or a newer version of Aspen wrote it."""


class ModelMismatch(StoreError):
    """The store's keys were made by another model; `aspen rekey` makes them again."""


class TraceError(AspenError):
    """A trace cannot be used."""

    exit_code = 6


class TraceCorrupt(TraceError):
    """The bytes are cut, altered, or not a trace at all."""


class TraceVersionError(TraceError):
    """The trace was written by another version of the format."""


class FragmentError(AspenError):
    """A stored KV fragment cannot be used; the text of its memory makes it again."""

    exit_code = 6


class FragmentCorrupt(FragmentError):
    """The bytes are cut, altered, or not a KV fragment of this version of the format."""


class FragmentMismatch(FragmentError):
    """The KV fragment was made by another model, behind another prefix, or of another text."""
