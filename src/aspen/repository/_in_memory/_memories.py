"""The memories of an in-memory store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from aspen.repository import _incoming as incoming
from aspen.repository.values import Conversation
from aspen.types import Memory


class Memories:
    """Memories by seq and by id. A seq is never used twice."""

    def __init__(self) -> None:
        self._last_seq = 0
        self._by_seq: dict[int, Memory] = {}  # in ascending order
        self._seqs: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_seq)

    def __iter__(self) -> Iterator[Memory]:
        """In ascending order of seq."""
        return iter(self._by_seq.values())

    def __contains__(self, seq: object) -> bool:
        return seq in self._by_seq

    def add(self, memory: Memory) -> int:
        """Keep a memory that is new; returns its seq."""
        self._last_seq += 1
        self._by_seq[self._last_seq] = replace(memory, seq=self._last_seq)
        self._seqs[memory.id] = self._last_seq
        return self._last_seq

    def knows(self, memory_id: str) -> bool:
        """Whether there is one of this id."""
        return memory_id in self._seqs

    def get(self, ids: Sequence[str]) -> list[Memory]:
        """By id, in the order asked; NotFound names the first unknown one."""
        for memory_id in ids:
            if not self.knows(memory_id):
                raise incoming.unknown("memory", memory_id)
        return [self._by_seq[self._seqs[memory_id]] for memory_id in ids]

    def by_seq(self, seqs: Sequence[int]) -> list[Memory]:
        """By seq, in the order asked, those that are there."""
        return [self._by_seq[int(seq)] for seq in seqs if int(seq) in self._by_seq]

    def of(self, conversation: str | None) -> list[int]:
        """The seqs of a conversation, or of all memories where it is None, ascending."""
        return [memory.seq for memory in self if conversation in (None, memory.conversation)]

    def last_of(self, conversation: str) -> int | None:
        """The seq of the newest memory of a conversation."""
        newest_first = reversed(self._by_seq.values())
        return next((memory.seq for memory in newest_first if memory.conversation == conversation), None)

    def newest_first(
        self, *, conversation: str | None, speaker: str | None, before: int | None
    ) -> list[Memory]:
        """Those that fit what is not None."""
        return [
            memory
            for memory in reversed(self._by_seq.values())
            if (conversation is None or memory.conversation == conversation)
            and (speaker is None or memory.speaker == speaker)
            and (before is None or memory.seq < before)
        ]

    def conversations(self) -> list[Conversation]:
        """In the order of their last memory, newest first."""
        names = dict.fromkeys(
            memory.conversation
            for memory in reversed(self._by_seq.values())
            if memory.conversation is not None
        )
        seqs = {name: self.of(name) for name in names}
        return [Conversation(name, len(own), own[0], own[-1]) for name, own in seqs.items()]

    def touch(self, seqs: Sequence[int], at: datetime) -> set[int]:
        """Count an access for each of `seqs` that is there; returns these."""
        for memory in self.by_seq(seqs):
            last = at if memory.accessed_at is None else max(at, memory.accessed_at)
            count = self._by_seq[memory.seq].access_count + 1
            self._by_seq[memory.seq] = replace(memory, accessed_at=last, access_count=count)
        return {seq for seq in seqs if seq in self}

    def put(self, memory: Memory) -> None:
        """Keep a memory in the place of that of its seq."""
        self._by_seq[memory.seq] = memory

    def count_versions(self, seqs: Iterable[int]) -> None:
        """Let the versions of those that are there count one more."""
        for seq in seqs:
            if seq in self:
                self.put(replace(self._by_seq[seq], version=self._by_seq[seq].version + 1))

    def forget(self, memory: Memory) -> None:
        """Drop a memory."""
        del self._by_seq[memory.seq], self._seqs[memory.id]

    def drop_traces(self, trace_ids: Collection[str]) -> None:
        """Let no memory refer to these traces any more."""
        for seq, memory in self._by_seq.items():
            if memory.trace_id in trace_ids:
                self._by_seq[seq] = replace(memory, trace_id=None)

    def size(self) -> int:
        """Bytes of all texts."""
        return sum(len(memory.text.encode()) for memory in self)
