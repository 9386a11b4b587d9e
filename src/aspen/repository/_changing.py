"""Changes to memories that are stored, checked the same in every store: amendments, and relations by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aspen.errors import Conflict, InvalidInput
from aspen.items import checked_item
from aspen.repository import _incoming as incoming
from aspen.types import Edge, Memory, Provenance, Relation, RelationType
from aspen.validation import check_choice, check_share

AMENDABLE = ("type", "stability", "importance", "emotion", "tags")
"""Fields of a memory that may change. Its text, and all that its id is made of, may not."""


def checked_amendment(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields as a memory has them; InvalidInput for another field, and for what no memory can have."""
    for name in fields:
        if name not in AMENDABLE:
            raise InvalidInput(
                f"{name!r} of a memory cannot be amended.",
                hint=f"What can is {', '.join(AMENDABLE)}; another text is a correction.",
                field=name,
            )
    item = checked_item({"text": "-", **fields})
    return {name: getattr(item, name) for name in fields}


def amended(memory: Memory, fields: Mapping[str, object], *, version: int | None) -> Memory:
    """The memory with its `fields`, one version on; itself where they are as they were.

    Conflict where `version` is given and is not the memory's.
    """
    if version is not None:
        check_version(memory, version)
    changed = replace(memory, **fields)  # type: ignore[arg-type]  # the fields are checked
    return memory if changed == memory else replace(changed, version=memory.version + 1)


def check_version(memory: Memory, version: int) -> None:
    """Conflict where the memory has another version."""
    if version != memory.version:
        raise Conflict(
            f"Memory {memory.id} has version {memory.version}, not {version}: it was changed meanwhile.",
            hint="Read it again, and change what it is now.",
            id=memory.id,
            version=memory.version,
            expected=version,
        )


def check_versions(versions: Mapping[str, int], memories: Mapping[str, Memory]) -> None:
    """NotFound for a memory of `versions` that is not among those stored, Conflict where it has another version."""
    for memory_id, version in versions.items():
        if memory_id not in memories:
            raise incoming.unknown("memory", memory_id)
        check_version(memories[memory_id], version)


def check_relations(relations: Sequence[Relation]) -> None:
    """InvalidInput for a relation that cannot be, whatever is stored."""
    for one in relations:
        check_choice(one.type, RelationType, what="relation")
        check_share(one.weight, what="weight")
        check_choice(one.provenance, Provenance, what="provenance")
        for end in (one.source, one.target):
            incoming.check_sought(end, what="memory id")
        if one.source == one.target:
            raise InvalidInput(
                f"A relation must join two memories, got {one.source!r} at both ends.", id=one.source
            )


def ends_of(relations: Sequence[Relation]) -> list[str]:
    """Ids of the memories that relations join, in order, each once."""
    return list(dict.fromkeys(end for one in relations for end in (one.source, one.target)))


def edges_between(relations: Sequence[Relation], seqs: Mapping[str, int]) -> list[Edge]:
    """Relations that are checked as edges, by the seqs of their ends; NotFound for the first end that has none."""
    for end in ends_of(relations):
        if end not in seqs:
            raise incoming.unknown("memory", end)
    return [
        Edge(
            seqs[one.source],
            seqs[one.target],
            RelationType(one.type).value,
            float(one.weight),
            Provenance(one.provenance),
        )
        for one in relations
    ]
