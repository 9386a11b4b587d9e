"""The relations of a file: held until its memories are stored, for they may stand before the memories they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from aspen.aspen import Aspen
from aspen.interchange.records import Problem, RelationRecord
from aspen.repository import MAX_LIMIT, edges_of
from aspen.types import Relation, RelationType

RELATION_BATCH = 1000
"""Relations of one transaction."""

_Name = tuple[str, str, RelationType]


@dataclass(frozen=True, slots=True)
class StoredRelations:
    """How many relations could be read, and how many of them are new or have another weight or provenance now."""

    read: int
    stored: int


class FileRelations:
    """The relations of one file, and what its records are called. Some 250 bytes each."""

    def __init__(self) -> None:
        self._memories: dict[str, str] = {}
        self._ambiguous: set[str] = set()
        self._records: list[RelationRecord] = []

    def add(self, record: RelationRecord) -> None:
        """Hold a relation."""
        self._records.append(record)

    def name(self, given: str, memory_id: str) -> None:
        """Note that the file calls a stored memory `given`."""
        if self._memories.setdefault(given, memory_id) != memory_id:
            self._ambiguous.add(given)

    def store(
        self, aspen: Aspen, *, note: Callable[[Problem], None], progress: Callable[[int], None]
    ) -> StoredRelations:
        """Store what is held, in batches; relations between memories that are not there go to `note`.

        `progress` is called after each batch with the number that was stored so far. Of two relations with the same
        ends and type the last one counts.
        """
        read, wanted = 0, dict[_Name, Relation]()
        for record in self._resolved(aspen):
            if isinstance(record, Problem):
                note(record)
            else:
                read += 1
                one = record.relation
                wanted[one.source, one.target, one.type] = one
        stored, left = 0, iter(wanted.values())
        while batch := list(islice(left, RELATION_BATCH)):
            changed = _changed(aspen, batch)
            if changed:
                aspen.relate_many(changed)
            stored += len(changed)
            progress(stored)
        return StoredRelations(read, stored)

    def _resolved(self, aspen: Aspen) -> Iterator[RelationRecord | Problem]:
        """The records with ids of stored memories at their ends, or what is wrong with them."""
        left = iter(self._records)
        while batch := list(islice(left, RELATION_BATCH)):
            foreign = {end for record in batch for end in _ends(record.relation) if end not in self._memories}
            known = aspen.repository.known(sorted(foreign))
            for record in batch:
                fault = self._fault(record.relation, known)
                yield Problem(record.number, fault) if fault else self._with_ids(record)

    def _fault(self, relation: Relation, known: set[str]) -> str:
        for end in _ends(relation):
            if end in self._ambiguous:
                return f"{_told(relation)}: several memories of the file have the id {end!r}"
            if end not in self._memories and end not in known:
                return f"{_told(relation)}: neither the file nor the store has a memory {end!r}"
        source, target = (self._memories.get(end, end) for end in _ends(relation))
        return f"{_told(relation)}: a memory cannot relate to itself" if source == target else ""

    def _with_ids(self, record: RelationRecord) -> RelationRecord:
        source, target = (self._memories.get(end, end) for end in _ends(record.relation))
        return replace(record, relation=replace(record.relation, source=source, target=target))


def _ends(relation: Relation) -> tuple[str, str]:
    return relation.source, relation.target


def _told(relation: Relation) -> str:
    return f"{relation.source} {relation.type} {relation.target}"


def _changed(aspen: Aspen, relations: Sequence[Relation]) -> list[Relation]:
    """Those that the store does not have just so, so that a second run writes nothing.

    Of a memory with more than 10,000 relations the lightest count as changed.
    """
    ends = sorted({end for relation in relations for end in _ends(relation)})
    seqs = {memory.id: memory.seq for memory in aspen.repository.get(ends)}
    rows = aspen.repository.out_edges(
        sorted({seqs[relation.source] for relation in relations}),
        fan=MAX_LIMIT,
        types={relation.type.value for relation in relations},
    )
    stored = {
        (edge.source, edge.target, edge.type): (edge.weight, edge.provenance) for edge in edges_of(rows)
    }
    return [
        one
        for one in relations
        if stored.get((seqs[one.source], seqs[one.target], one.type.value)) != (one.weight, one.provenance)
    ]
