"""Plain JSONL: a memory a line, `{"text": ..., "speaker": ..., "said_at": ..., "conversation": ..., "source": ...}`.

Only `text` is needed. `said_at` is ISO 8601 or seconds since 1970; `id` stands in for `source`; `provenance` is one of
`Provenance`, "imported" where it is not given. `type`, `stability`, `importance` (a number in [0, 1], "high", "medium"
or "low"), `emotion` (`{"label": ..., "intensity": ...}`) and `tags` (a list) are those of a memory. Other fields are
ignored.

A line `{"relation": "supports", "from": ID, "to": ID, "weight": 0.8}` relates two memories, each named by the `id` of a
line of the same file, before or after it, or by that of a stored memory (m_...). `weight` in [0, 1] may be left out,
and so may `provenance`.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    moment,
    name_in,
)
from aspen.types import Provenance


def read_plain(source: Source) -> Iterator[Reading]:
    """One record for each line."""
    for line in read_objects(source.path):
        yield line if isinstance(line, Problem) else _record(line, source)


def _record(line: Line, source: Source) -> Reading:
    if is_relation(line.value):
        return as_relation(line.number, line.value)
    try:
        said_at = moment(line.value)
    except InvalidInput as error:
        return Problem(line.number, error.message)
    if "text" not in line.value:
        return Problem(line.number, "the line has no 'text'")
    fields = {
        "text": line.value["text"],
        "speaker": name_in(line.value, "speaker"),
        "said_at": said_at,
        "conversation": name_in(line.value, "conversation") or source.conversation,
        "source": name_in(line.value, "source", "id") or source.place(line.number),
        **kind_of(line.value),
    }
    provenance = line.value.get("provenance") or Provenance.IMPORTED
    return as_record(line.number, fields, done=line.done, provenance=provenance, id=name_in(line.value, "id"))
