"""What every method of the Postgres repository stands on: an open store, and transactions on it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from aspen.errors import StoreError
from aspen.repository._postgres._address import read_address
from aspen.repository._postgres._database import prepare
from aspen.repository._postgres._errors import not_writable
from aspen.repository._postgres._pool import Pool, Session

logger = logging.getLogger(__name__)


class OpenStore:
    """The store of one tenant, open."""

    def __init__(self, url: str, *, busy_timeout: float = 10.0) -> None:
        self._address = read_address(url)
        self._writable = prepare(self._address, busy_timeout)
        self._pool = Pool(self._address, busy_timeout=busy_timeout)

    @property
    def location(self) -> str:
        return self._address.location

    @property
    def writable(self) -> bool:
        return self._writable

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """One transaction, alone in writing to this store."""
        if not self.writable:
            raise not_writable(self.location)
        with self._pool.writing() as session:
            yield session
        if session.deleted:
            self._vacuum()

    def _vacuum(self) -> None:
        """Never fails the call that committed: Postgres vacuums by itself later."""
        try:
            self._pool.vacuum()
        except StoreError as error:
            logger.warning("What was forgotten in %s could not be vacuumed away: %s", self.location, error)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
