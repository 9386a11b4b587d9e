"""What every method of the in-memory repository stands on: the dictionaries, and the lock around them."""

from __future__ import annotations

from threading import RLock
from types import TracebackType
from typing import Self

from aspen.errors import StoreError
from aspen.repository._in_memory._edges import Edges
from aspen.repository._in_memory._keys import Keys
from aspen.repository._in_memory._memories import Memories
from aspen.repository._in_memory._names import Names
from aspen.repository._in_memory._terms import Terms
from aspen.repository._in_memory._traces import Traces
from aspen.repository.values import KeyStamp


class OpenStore:
    """A store that is open, and empty at first."""

    location = ":memory:"
    writable = True

    def __init__(self) -> None:
        self._guard = RLock()
        self._closed = False
        self._revision = 0
        self._memories = Memories()
        self._terms = Terms()
        self._names = Names()
        self._edges = Edges()
        self._traces = Traces()
        self._stamp: KeyStamp | None = None
        self._activated = 0  # the revision at which it became the current one
        self._keys = Keys()
        self._row_revisions: dict[int, int] = {}
        self._access_revisions: dict[int, int] = {}
        self._statistics: dict[str, bytes] = {}
        self._forgotten: dict[int, int] = {}

    @property
    def _lock(self) -> RLock:
        if self._closed:
            raise StoreError("The store is closed.", hint="Open it again.")
        return self._guard

    def close(self) -> None:
        with self._guard:
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
