"""Remembering and forgetting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from aspen.engine.closeness import Closeness
from aspen.errors import InvalidInput
from aspen.front_door.base import FrontDoor
from aspen.items import check_item, memory_id
from aspen.summaries import summaries_of
from aspen.types import (
    Emotion,
    Forgetting,
    Memory,
    MemoryItem,
    MemoryType,
    Provenance,
    Relation,
    Stability,
)
from aspen.validation import check_count, check_kind


class Remembering(FrontDoor):
    """What puts memories into the store and takes them out."""

    def remember(
        self,
        text: str,
        *,
        speaker: str | None = None,
        said_at: datetime | None = None,
        conversation: str | None = None,
        source: str | None = None,
        provenance: Provenance | str = Provenance.SAID,
        type: MemoryType | str = MemoryType.EPISODIC,  # noqa: A002 - the word of the field
        stability: Stability | str = Stability.TENTATIVE,
        importance: float | str = "medium",
        emotion: Emotion | None = None,
        tags: Collection[str] = (),
    ) -> Memory:
        """Remember one text. Remembering the same again changes nothing and returns what is there.

        At most 100,000 characters, names at most 500; a `said_at` without a time zone is UTC. `importance` in [0, 1],
        or "high" (1), "medium" (.6) or "low" (.3). Errors: `remember_many`.
        """
        item = {
            "text": text,
            "speaker": speaker,
            "said_at": said_at,
            "conversation": conversation,
            "source": source,
            "provenance": provenance,
            "type": type,
            "stability": stability,
            "importance": importance,
            "emotion": emotion,
            "tags": tags,
        }
        return self.remember_many([item])[0]

    def remember_many(
        self,
        items: Sequence[MemoryItem | Mapping[str, object]],
        *,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Memory]:
        """Remember many texts in one transaction; returns their memories in the order of `items`.

        Mappings have the fields of MemoryItem, `said_at` as a datetime or an ISO 8601 string. `progress` is called
        with the number of new texts encoded so far.

        InvalidInput names the first bad item; nothing is stored then. ModelMismatch where the store's keys are another
        model's (see `closeness` and `rekey`), StoreNotWritable where it can only be read.
        """
        check_kind(items, list | tuple, what="items")
        checked = [check_item(item, position=position) for position, item in enumerate(items)]
        return self._remembered(checked, progress=progress)

    def _remembered(
        self,
        items: Sequence[MemoryItem],
        *,
        relations: Sequence[Relation] = (),
        versions: Mapping[str, int] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Memory]:
        """Store items that are checked, and relations between them or to what is there, in one transaction.

        Conflict, and nothing is stored, where a memory has another version by then than in `versions`.
        """
        ids = [memory_id(item) for item in items]
        known = self.repository.known(ids)
        new = {id_: item for id_, item in zip(ids, items, strict=True) if id_ not in known}
        if new:
            self.engine.claim_store()
            encoded = self.engine.encode(list(new.items()), progress=progress)
            self.repository.add(encoded, stamp=self.engine.stamp, relations=relations, versions=versions)
        elif relations:
            self.repository.add([], relations=relations, versions=versions)
        return self.repository.get(ids)

    def forget(self, *memory_ids: str, version: int | None = None) -> int:
        """Delete memories, for good, with the pattern memories that were made of them (see `summarise`).

        Returns how many traces went with them. When it returns,

        - the store has no text, keys, words, names, traits or edges of them any more, no trace in whose prompt one of
          them stood, and no statistics fitted on them; what was deleted is overwritten in its files (in the log
          beside them as soon as no other process reads an older state). Only their numbers (`seq`) stay.
        - this object holds nothing of them: columns, keys, vectors, stems of words and cached pages of the store are
          let go. Memory that is freed is not overwritten: what stood in it is gone for certain when the process ends.

        What was handed out (`Memory`, `Recall`, `Reply`) is the caller's. Other processes that have the store open let
        go at their next recall. Copies made by `backup` or `export` stay as they are. NotFound, and nothing is
        deleted, if one id is unknown. Conflict, and nothing is deleted, where `version` is given and the memory has
        another one; InvalidInput where it is given beside several memories.
        """
        versions = None if version is None else _version_of(memory_ids, version)
        seqs = list(self._seqs(memory_ids).values())
        traces = self.repository.forget(
            [*memory_ids, *summaries_of(self.repository, seqs)], versions=versions
        )
        self._by_words.forget()
        if self._engine is not None:
            self._engine.search.forget()
        for let_go in self._at_forgetting:
            let_go()
        return traces

    def forgetting(self, *memory_ids: str) -> Forgetting:
        """What `forget` would delete; nothing is. NotFound for an unknown id."""
        seqs = list(self._seqs(memory_ids).values())
        summaries = summaries_of(self.repository, seqs)
        ids = [*dict.fromkeys(memory_ids), *summaries]
        memories = self.repository.get(ids)
        attached = self.repository.attached(ids)
        named = len(memories) - len(summaries)
        return Forgetting(
            memories=tuple(memories[:named]),
            summaries=tuple(memories[named:]),
            traces=tuple(trace.id for trace in attached.traces),
            relations=attached.edges,
        )

    def rekey(self, *, progress: Callable[[int], None] = lambda done: None) -> int:
        """Make all keys anew with the model in use, and let the store belong to it; returns how many were made.

        May be interrupted: until the last key is made the store goes on with the keys it has, and the next call begins
        where this one ended. `progress` is called with the number of keys made so far.
        """
        return self.engine.rekey(progress=progress)

    def closeness(self) -> Closeness | None:
        """How close the store's keys come to those that the model in use makes; None while the store is new.

        Some memories are read again, 24 at most, whichever model the keys are of. It only tells: keys of two models are
        never compared in a search, and a store of another model stays one until `rekey`. InvalidInput where the
        model's activations are not finite.
        """
        return self.engine.comparison.measure()


def _version_of(memory_ids: Sequence[str], version: int) -> dict[str, int]:
    if len(memory_ids) != 1:
        raise InvalidInput(
            f"A version is that of one memory, got {len(memory_ids)} memories.",
            hint="Forget them one by one, or leave the version out.",
        )
    return {memory_ids[0]: check_count(version, what="version", maximum=2**53)}
