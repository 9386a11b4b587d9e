"""Aspen's own export: a header line, then a memory a line with all that its id is made of, then a relation a line.

The header is `{"aspen_export": 1, "exported_at": ...}`. A memory has `id`, `text`, `speaker`, `said_at`,
`conversation`, `source`, `provenance`, `type`, `stability`, `importance`, `emotion`, `tags` and `created_at`; reading
it again makes the same id. `created_at` is for people, and `id` for them and for relations: a text that was edited in
the file becomes a memory of its own, to which the relations of its line belong. How often a memory was used, and when
last, is not in it: that is of a store, as keys and traces are.

A relation is as in plain JSONL, `{"relation": ..., "from": ID, "to": ID, "weight": ..., "provenance": ...}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from aspen.errors import InvalidInput
from aspen.interchange.lines import Line, read_objects
from aspen.interchange.records import (
    Problem,
    Reading,
    Source,
    as_record,
    as_relation,
    is_relation,
    kind_of,
)
from aspen.types import Memory, Provenance, Relation

HEADER = "aspen_export"
VERSION = 1
_FIELDS = ("text", "speaker", "said_at", "conversation", "source")


def header(*, exported_at: datetime) -> dict[str, object]:
    """The first line of an export."""
    return {HEADER: VERSION, "exported_at": exported_at.isoformat()}


def as_line(memory: Memory) -> dict[str, object]:
    """A memory as one line of an export."""
    return {
        "id": memory.id,
        "text": memory.text,
        "speaker": memory.speaker,
        "said_at": memory.said_at.isoformat() if memory.said_at else None,
        "conversation": memory.conversation,
        "source": memory.source,
        "provenance": memory.provenance.value,
        "type": memory.type.value,
        "stability": memory.stability.value,
        "importance": memory.importance,
        "emotion": asdict(memory.emotion) if memory.emotion else None,
        "tags": list(memory.tags),
        "created_at": memory.created_at.isoformat(),
    }


def as_relation_line(relation: Relation) -> dict[str, object]:
    """A relation as one line of an export."""
    return {
        "relation": relation.type.value,
        "from": relation.source,
        "to": relation.target,
        "weight": relation.weight,
        "provenance": relation.provenance.value,
    }


def read_export(source: Source) -> Iterator[Reading]:
    """One record for each memory and relation; they keep their provenance: what a model said stays known as such."""
    for line in read_objects(source.path):
        if isinstance(line, Problem):
            yield line
        elif HEADER in line.value:
            _check_version(line, source)
        elif is_relation(line.value):
            yield as_relation(line.number, line.value)
        else:
            fields = {name: line.value.get(name) for name in _FIELDS} | kind_of(line.value)
            fields["conversation"] = fields["conversation"] or source.conversation
            provenance = line.value.get("provenance") or Provenance.IMPORTED
            yield as_record(
                line.number, fields, done=line.done, provenance=provenance, id=line.value.get("id")
            )


def _check_version(line: Line, source: Source) -> None:
    version = line.value[HEADER]
    if version != VERSION:
        raise InvalidInput(
            f"{source.path} is an export of version {version!r}, this Aspen reads version {VERSION}.",
            hint="Upgrade aspen.",
            path=str(source.path),
        )
