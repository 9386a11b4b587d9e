"""Who and what the memories of an in-memory store speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aspen.repository._in_memory._columns import mention_rows
from aspen.repository.values import Mention, MentionRows, NewMemory

_ROW = 16
"""Bytes that count for a name beside its text."""


class Names:
    """Subjects and mentions by seq. Every look-up reads all memories: this is the plain way."""

    def __init__(self) -> None:
        self._subjects: dict[int, str | None] = {}
        self._mentions: dict[int, list[Mention]] = {}  # ascending by (start, name), each pair once

    def add(self, seq: int, new: NewMemory) -> None:
        """Keep the names of a memory."""
        own: dict[tuple[int, str], Mention] = {}
        for mention in new.mentions:
            own.setdefault((mention.start, mention.name), mention)
        self._subjects[seq] = new.subject
        self._mentions[seq] = [mention for _, mention in sorted(own.items())]

    def forget(self, seq: int) -> None:
        """Drop those of a memory."""
        del self._subjects[seq], self._mentions[seq]

    def subjects(self, seqs: Iterable[int]) -> list[str | None]:
        """The subject of each memory."""
        return [self._subjects[seq] for seq in seqs]

    def mentions(self, seqs: Iterable[int]) -> MentionRows:
        """All mentions of those that are there."""
        known = sorted(self._mentions.keys() & set(seqs))
        return mention_rows((seq, mention) for seq in known for mention in self._mentions[seq])

    def mentioning(self, names: Iterable[str], *, among: Sequence[int], limit: int) -> MentionRows:
        """For each name, its first mention in each of the first `limit` memories of `among` that have one."""
        # Written backwards, so that the first mention of a name is the one that stays.
        first = {seq: {mention.name: mention for mention in reversed(self._mentions[seq])} for seq in among}
        found = ([(seq, first[seq][name]) for seq in among if name in first[seq]][:limit] for name in names)
        return mention_rows(row for of_name in found for row in of_name)

    def about(self, names: Iterable[str], *, among: Sequence[int], limit: int) -> MentionRows:
        """For each name, the first `limit` memories of `among` whose subject it is; ranges are 0."""
        found = ([seq for seq in among if self._subjects[seq] == name][:limit] for name in names)
        return mention_rows(
            (seq, Mention(name, 0, 0)) for name, seqs in zip(names, found, strict=True) for seq in seqs
        )

    def size(self) -> int:
        """Bytes of the names mentioned."""
        return sum(len(mention.name.encode()) + _ROW for own in self._mentions.values() for mention in own)
