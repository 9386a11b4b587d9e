"""Summaries: patterns that recur in what was said, kept as memories of their own."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aspen.errors import NotFound, StoreBusy
from aspen.front_door.relating import Relating
from aspen.memory_injector.summary import TAG
from aspen.repository import MAX_LIMIT
from aspen.summaries import (
    Cluster,
    Kept,
    Plan,
    Written,
    alike_threshold,
    find_clusters,
    kept_summaries,
    plan,
    write_pattern,
)
from aspen.types import Memory, MemoryItem, MemoryType, Provenance, Relation, RelationType
from aspen.validation import check_count

_DOUBLE = struct.Struct("<d")
_AFTER = 2
"""How many turns after an example are looked at for how it ended: what was answered, and what was said to that."""


class SummaryChange(StrEnum):
    """What became of a pattern memory."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Summary:
    """A pattern memory and its examples by id, the most central first.

    memory: as it is now; as it was, where it was retired or nothing was written; None where it would be new. occasions:
    on how many days and in how many conversations it was seen; last: when for the last time.
    """

    change: SummaryChange
    memory: Memory | None
    examples: tuple[str, ...]
    occasions: int
    last: datetime | None


class Summarising(Relating):
    """What finds patterns."""

    def summarise(
        self,
        *,
        use_model: bool = True,
        limit: int = 5000,
        dry_run: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[Summary, ...]:
        """Find what recurs, and keep a pattern memory of each: made, corrected where its examples changed, or retired.

        Clusters of three and more memories that people said, of different conversations or days, that are alike by
        activation. A pattern memory has the type "pattern", the provenance "inferred" and the tag "summary", and
        relations "summarizes" to its examples, which are each an "example_of" it. Where its examples are the same as
        before it is left alone. Nothing is made of what the model said, or of other summaries.

        ModelMismatch where the store's keys are another model's, StoreNotWritable where it can only be read.

        Parameters
        ----------
        use_model:
            Let the model write the sentence, where the examples bear it out; it is quoted from them otherwise, and
            tagged "template".
        limit:
            Most memories that are looked at, the newest, in [1, 10,000]; those of the patterns that there are besides.
        dry_run:
            Only tell what would change.
        progress:
            Called with the number of summaries written so far, and of all to write.
        """
        check_count(limit, what="limit")
        engine = self.engine
        engine.claim_store()
        changes = self.repository.changes(0)
        alike = self._alike(revision=changes.revision)
        kept = kept_summaries(changes)
        clusters = find_clusters(
            changes,
            code=engine.encoder.key_code,
            alike=alike,
            limit=limit,
            members={seq for one in kept for seq in one.members},
        )
        found = plan(kept, clusters)
        memories = self._memories_of(found)
        done: list[Summary] = [
            _told(SummaryChange.UNCHANGED, memories, cluster, old=kept) for kept, cluster in found.unchanged
        ]
        work: list[tuple[Kept | None, Cluster]] = [*found.changed, *((None, one) for one in found.new)]
        for number, (old, cluster) in enumerate(work):
            progress(number, len(work))
            change = SummaryChange.CHANGED if old else SummaryChange.NEW
            told = _told(change, memories, cluster, old=old)
            if dry_run:
                done.append(told)
                continue
            with contextlib.suppress(
                NotFound
            ):  # an example was forgotten meanwhile: the next time finds what is left
                done.append(self._made(told, cluster, use_model=use_model))
        progress(len(work), len(work))
        gone = [memories[kept.seq] for kept in found.retired if kept.seq in memories]
        if gone and not dry_run:
            self.forget(*(memory.id for memory in gone))
        return (*done, *(Summary(SummaryChange.RETIRED, memory, (), 0, None) for memory in gone))

    def _alike(self, *, revision: int) -> float:
        """`alike_threshold` of the model, kept with the store until something is forgotten."""
        stamp = self.engine.stamp
        name = f"alike:{stamp.model_id}:{stamp.key_version}"
        kept = self.repository.statistics(name)
        if kept is not None and len(kept) == _DOUBLE.size:
            return float(_DOUBLE.unpack(kept)[0])
        alike = alike_threshold(self.engine.encoder)
        with contextlib.suppress(StoreBusy):  # it will be found out again
            self.repository.save_statistics(name, _DOUBLE.pack(alike), as_of=revision)
        return alike

    def _memories_of(self, found: Plan) -> dict[int, Memory]:
        seqs = {seq for cluster in found.new for seq in cluster.seqs}
        for kept, cluster in (*found.changed, *found.unchanged):
            seqs |= {kept.seq, *cluster.seqs}
        seqs |= {kept.seq for kept in found.retired}
        return {memory.seq: memory for memory in self.repository.get_by_seq(sorted(seqs))}

    def _made(self, told: Summary, cluster: Cluster, *, use_model: bool) -> Summary:
        """The summary of a cluster, written and stored with its relations; in the place of the old one, if any.

        NotFound, and nothing is stored, where an example was forgotten meanwhile.
        """
        examples = self.repository.get(list(told.examples))
        ended = self._ended(examples)
        written = write_pattern(examples, ended, model=self.model if use_model else None)
        old = told.memory
        new = self.remember_many([_item(written, told, old=old)])[0]
        relations = _relations(new, examples, cluster, ended=ended, old=old)
        try:
            self.relate_many(relations)
        except NotFound:  # what was written of it goes with it
            self.forget(new.id)
            raise
        if old is not None:  # what it summarized stays with it, so that it is forgotten with its examples
            edges = self.repository.in_edges([old.seq], fan=MAX_LIMIT)
            kind = RelationType.EXAMPLE_OF.value
            ends = zip(edges.sources.tolist(), edges.types, strict=True)
            self.repository.unrelate([(source, old.seq, kind) for source, name in ends if name == kind])
        return Summary(told.change, new, told.examples, told.occasions, told.last)

    def _ended(self, examples: Sequence[Memory]) -> Memory | None:
        """What a person said soon after the latest of the two most central examples that something follows."""
        for example in sorted(examples[:2], key=_when, reverse=True):
            here = example
            for _ in range(_AFTER):
                rows = self.repository.out_edges([here.seq], fan=1, types=[RelationType.NEXT.value])
                following = self.repository.get_by_seq(rows.targets.tolist())
                if not following:
                    break
                here = following[0]
                if here.provenance in (Provenance.SAID, Provenance.IMPORTED):
                    return here
        return None


def _told(
    change: SummaryChange, memories: dict[int, Memory], cluster: Cluster, *, old: Kept | None
) -> Summary:
    examples = [memories[seq] for seq in cluster.seqs if seq in memories]
    last = max(map(_when, examples), default=None)
    ids = tuple(memory.id for memory in examples)
    return Summary(change, memories.get(old.seq) if old else None, ids, cluster.occasions, last)


def _item(written: Written, told: Summary, *, old: Memory | None) -> MemoryItem:
    # The source tells apart patterns of equal text: an example has one pattern, and a pattern one correction.
    source = f"correction of {old.id}" if old else f"pattern of {told.examples[0]}"
    return MemoryItem(
        written.text,
        said_at=told.last,
        source=source,
        provenance=Provenance.INFERRED,
        type=MemoryType.PATTERN,
        tags=(TAG, written.label),
    )


def _relations(
    new: Memory, examples: Sequence[Memory], cluster: Cluster, *, ended: Memory | None, old: Memory | None
) -> list[Relation]:
    inferred = Provenance.INFERRED
    relations = []
    for memory, centrality in zip(examples, cluster.centrality, strict=True):
        weight = min(max(centrality, 0.0), 1.0)
        relations += [
            Relation(new.id, memory.id, RelationType.SUMMARIZES, weight, inferred),
            Relation(memory.id, new.id, RelationType.EXAMPLE_OF, weight, inferred),
        ]
    if ended is not None and ended not in examples:
        relations.append(Relation(new.id, ended.id, RelationType.DERIVED_FROM, 0.5, inferred))
    if old is not None:
        relations.append(Relation(old.id, new.id, RelationType.HISTORICAL_VERSION_OF, 1.0, inferred))
    return relations


def _when(memory: Memory) -> datetime:
    return memory.said_at or memory.created_at
