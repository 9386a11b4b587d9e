"""Short names of memories while one question is answered: small models copy "3" well, and an id of 22 letters badly."""

from __future__ import annotations

from collections.abc import Iterable

from aspen.errors import NotFound

ID_PREFIX = "m_"


class Handles:
    """A number for each memory that was shown, counted from 1."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._numbers: dict[str, str] = {}

    def of(self, memory_id: str) -> str:
        """The number of a memory; a new one where it has none yet."""
        if memory_id not in self._numbers:
            self._ids.append(memory_id)
            self._numbers[memory_id] = str(len(self._ids))
        return self._numbers[memory_id]

    def of_all(self, memory_ids: Iterable[str]) -> list[str]:
        """`of` for each."""
        return [self.of(id_) for id_ in memory_ids]

    def ids(self) -> dict[str, str]:
        """All numbers given so far, with the ids that they stand for."""
        return {number: id_ for id_, number in self._numbers.items()}

    def id_of(self, given: str | int) -> str:
        """The id that a model means, by number or by the id itself. NotFound for a number that was not given."""
        text = str(given).strip()
        if text.startswith(ID_PREFIX):
            return text
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= len(self._ids):
            return self._ids[int(text) - 1]
        known = f"1 to {len(self._ids)}" if self._ids else "none yet: search first"
        raise NotFound(f"There is no memory {text[:40]!r} here.", hint=f"Known ids are {known}.")
