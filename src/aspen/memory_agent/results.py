"""Results of tools as a model reads them: short JSON that is data, whatever the texts in it say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aspen.memory_agent.handles import Handles
from aspen.types import ActivatedMemory, Edge, Hit, Memory

MAX_TEXT = 240
"""Characters of a memory that a result shows."""
_MAX_MESSAGE = 300


def as_json(data: Mapping[str, Any]) -> str:
    """Compact JSON. Quotes and line breaks inside of texts are escaped, so that no text leaves its place."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def fitted(
    rows: Sequence[Mapping[str, Any]],
    *,
    more: Mapping[str, Any],
    budget: int,
    count_tokens: Callable[[str], int],
) -> str:
    """A result of at most `budget` tokens: as many of the first `rows` as fit, and how many were left out."""
    for shown in range(len(rows), -1, -1):
        left_out = {"left_out": len(rows) - shown} if shown < len(rows) else {}
        text = as_json({"memories": list(rows[:shown]), **left_out, **more})
        if count_tokens(text) <= budget:
            break
    return text


def refused(error: str, *, hint: str) -> str:
    """An error as a result."""
    return as_json({"error": error[:_MAX_MESSAGE], "hint": hint[:_MAX_MESSAGE]})


def hit_row(hit: Hit, handles: Handles) -> dict[str, Any]:
    """A memory that a search found."""
    return {
        **_memory(hit.memory, handles),
        "score": round(hit.score, 2),
        **_corrected(hit.corrected_by, handles),
    }


def active_row(one: ActivatedMemory, handles: Handles) -> dict[str, Any]:
    """A memory that activation reached, with the strongest way there."""
    way = {"from": handles.of(one.paths[0].memories[0])} if one.paths else {}
    return {
        **_memory(one.memory, handles),
        "activation": round(one.activation, 2),
        **way,
        **_corrected(one.corrected_by, handles),
    }


def read_row(
    memory: Memory, edges: Sequence[Edge], ends: Mapping[int, Memory], handles: Handles
) -> dict[str, Any]:
    """A memory with the relations that lead from it."""
    relations = [
        {
            "relation": edge.type,
            "to": handles.of(ends[edge.target].id),
            "type": ends[edge.target].type.value,
            "weight": round(edge.weight, 2),
        }
        for edge in edges
    ]
    return {**_memory(memory, handles), **({"relations": relations} if relations else {})}


def _corrected(by: str | None, handles: Handles) -> dict[str, Any]:
    """What says that a memory does not hold any more."""
    return {} if by is None else {"corrected_by": handles.of(by)}


def _memory(memory: Memory, handles: Handles) -> dict[str, Any]:
    text = " ".join(memory.text.split())
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    date = {} if memory.said_at is None else {"date": memory.said_at.date().isoformat()}
    return {"id": handles.of(memory.id), "type": memory.type.value, "text": text, **date}
