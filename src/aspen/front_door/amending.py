"""Changing what is remembered, so that nothing is lost: amendments in place, and newer versions beside the old ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from types import EllipsisType

from aspen.errors import AlreadyCorrected, InvalidInput
from aspen.front_door.relating import Relating
from aspen.items import check_item
from aspen.items import memory_id as id_of
from aspen.repository import MAX_LIMIT, NEXT, check_version, edges_of
from aspen.types import (
    Edge,
    Emotion,
    Memory,
    MemoryItem,
    MemoryType,
    Provenance,
    Relation,
    RelationType,
    Stability,
)
from aspen.validation import check_count, check_kind

_CORRECTED = RelationType.HISTORICAL_VERSION_OF
_NOT_TAKEN_OVER = (NEXT, _CORRECTED.value)
"""Relations of a place in a conversation, and of a version, are those of one memory alone."""


class Amending(Relating):
    """What changes memories that are stored."""

    def amend(
        self,
        memory_id: str,
        *,
        version: int | None = None,
        type: MemoryType | str | None = None,  # noqa: A002 - the word of the field
        stability: Stability | str | None = None,
        importance: float | str | None = None,
        emotion: Emotion | EllipsisType | None = ...,
        tags: Collection[str] | None = None,
    ) -> Memory:
        """Change what kind of memory it is, in place; what is not given stays. Its text is changed by `correct`.

        An `emotion` of None takes it away, `tags` are replaced as a whole. The memory's version counts one more, unless
        all is as it was; the next recall sees it. Conflict, and no change, where `version` is given and somebody has
        amended the memory since it had that one. NotFound, InvalidInput as `remember`.
        """
        check_kind(memory_id, str, what="memory id")
        given = {"type": type, "stability": stability, "importance": importance, "tags": tags}
        fields: dict[str, object] = {name: value for name, value in given.items() if value is not None}
        if emotion is not ...:
            fields["emotion"] = emotion
        if version is not None:
            check_count(version, what="version", maximum=2**53)
        return self.repository.amend(memory_id, fields, version=version)

    def correct(
        self, memory_id: str, text: str, *, said_at: datetime | None = None, version: int | None = None
    ) -> Memory:
        """Put `text` in the place of a memory, and keep that as its historical version; returns the new memory.

        The new one takes over speaker, conversation, type, stability, importance, emotion and tags. Doing it again
        changes nothing. AlreadyCorrected where the memory was corrected otherwise: what holds now is to be corrected.
        Conflict, and no change, where `version` is given and the memory has another one, or where somebody changes it
        before the correction is stored.
        """
        old = self._read(memory_id, version=version)
        item = MemoryItem(
            text,
            old.speaker,
            said_at,
            old.conversation,
            source=f"correction of {old.id}",
            type=old.type,
            stability=old.stability,
            importance=old.importance,
            emotion=old.emotion,
            tags=old.tags,
        )
        for newer in self._corrections_of(old):
            if (newer.text, newer.source) != (text, item.source):
                raise AlreadyCorrected(
                    f"The memory {old.id} was corrected already.",
                    hint=f"Correct {newer.id} instead.",
                    corrected_by=newer.id,
                )
            return newer
        item = check_item(item)
        relation = Relation(old.id, id_of(item), _CORRECTED, 1.0)
        return self._remembered([item], relations=[relation], versions={old.id: old.version})[0]

    def _read(self, memory_id: str, *, version: int | None) -> Memory:
        """A memory that is to be changed; Conflict where `version` is given and it has another one.

        What is written then goes by the version that was read: the store looks at it once more as it writes.
        """
        (memory,) = self.repository.get([memory_id])
        if version is not None:
            check_version(memory, check_count(version, what="version", maximum=2**53))
        return memory

    def history(self, memory_id: str) -> tuple[Memory, ...]:
        """All versions of a memory, oldest first; the last one is what holds now."""
        start = self.repository.get([memory_id])[0]
        versions = {start.seq: start}
        places = {start.seq: 0}  # not the seq: an imported correction may be the older memory of the store
        for step, way in ((self._corrections_of, 1), (self._versions_before, -1)):
            found, place = [start], 0
            while found:
                place += way
                found = [other for one in found for other in step(one) if other.seq not in versions]
                versions |= {other.seq: other for other in found}
                places |= {other.seq: place for other in found}
        return tuple(versions[seq] for seq in sorted(versions, key=lambda seq: (places[seq], seq)))

    def _corrections_of(self, memory: Memory) -> list[Memory]:
        rows = self.repository.out_edges([memory.seq], fan=MAX_LIMIT, types=[_CORRECTED.value])
        return self.repository.get_by_seq(rows.targets.tolist())

    def _versions_before(self, memory: Memory) -> list[Memory]:
        edges = edges_of(self.repository.in_edges([memory.seq], fan=MAX_LIMIT))
        return self.repository.get_by_seq([edge.source for edge in edges if edge.type == _CORRECTED])

    def restore(self, memory_id: str, *, version: int | None = None) -> Memory:
        """Let a memory hold again that was corrected, or merged into another one; returns it.

        What holds in its place now, and what that took over when they were merged, stays, as a memory beside it: forget
        it where it is wrong. InvalidInput where the memory was not corrected. Conflict as `correct`.
        """
        memory = self._read(memory_id, version=version)
        newer = self._corrections_of(memory)
        if not newer:
            raise InvalidInput(
                f"The memory {memory.id} was not corrected: it holds.",
                hint="The history of a memory (`aspen history`) shows its versions.",
                id=memory.id,
            )
        over = [(memory.seq, one.seq, _CORRECTED.value) for one in newer]
        self.repository.relate([], without=over, versions={memory.id: memory.version})
        return self.repository.get([memory_id])[0]

    def merge(self, keep_id: str, *other_ids: str, version: int | None = None) -> Memory:
        """Let one memory hold for others that say the same; returns it.

        The others become its historical versions, as what was corrected does: they stay, with all that they have, and
        `restore` lets each hold again. Their relations are taken over, but for those of place in a conversation and of
        versions; of two of one kind with the same memory the heavier one counts. Merging again changes nothing more.
        AlreadyCorrected where one of them was corrected or merged otherwise; NotFound, and no change, for an unknown
        id. Conflict, and no change, where `version` is given and is not that of the memory that is kept, or where
        somebody changes one of them before it is done.
        """
        keep = self._read(keep_id, version=version)
        others = self.repository.get([one for one in dict.fromkeys(other_ids) if one != keep.id])
        if not others:
            raise InvalidInput(
                "Merging takes a memory to keep, and others.", hint="Name two memories at least.", id=keep_id
            )
        for memory in (keep, *others):
            for newer in self._corrections_of(memory):
                if newer.seq != keep.seq:
                    raise AlreadyCorrected(
                        f"The memory {memory.id} was corrected already.",
                        hint=f"Merge {newer.id} instead, which holds now.",
                        corrected_by=newer.id,
                    )
        seqs = [memory.seq for memory in others]
        own = self._edges_of([keep.seq])
        merged = {edge.source for edge in own if edge.type == _CORRECTED} | set(seqs)
        taken = _taken_over(own, self._edges_of(seqs), merged=merged - {keep.seq}, by=keep.seq)
        versions = [Edge(seq, keep.seq, _CORRECTED.value, 1.0, Provenance.SAID) for seq in seqs]
        read = {memory.id: memory.version for memory in (keep, *others)}
        self.repository.relate([*taken, *versions], versions=read)
        return self.repository.get([keep_id])[0]

    def _edges_of(self, seqs: Sequence[int]) -> list[Edge]:
        """From and to memories, at most 10,000 of each in each direction."""
        rows = (self.repository.out_edges(seqs, fan=MAX_LIMIT), self.repository.in_edges(seqs, fan=MAX_LIMIT))
        return [edge for part in rows for edge in edges_of(part)]


def _taken_over(
    own: Iterable[Edge], others: Iterable[Edge], *, merged: Collection[int], by: int
) -> list[Edge]:
    """The edges of `others`, led from and to the memory `by` in the place of `merged` ones, as far as they are new.

    Those that lead from one of these to another are left out; so is what is no heavier than one of `own`.
    """
    heaviest = {(edge.source, edge.target, edge.type): edge for edge in own}
    taken: dict[tuple[int, int, str], Edge] = {}
    for edge in others:
        source, target = (by if end in merged else end for end in (edge.source, edge.target))
        if source == target or edge.type in _NOT_TAKEN_OVER:
            continue
        name = (source, target, edge.type)
        if name not in heaviest or heaviest[name].weight < edge.weight:
            heaviest[name] = taken[name] = Edge(*name, edge.weight, edge.provenance)
    return list(taken.values())
