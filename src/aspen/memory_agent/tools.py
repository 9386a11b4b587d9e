"""The five tools of the recall agent: what each does, in words for a model, and the schema of its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from aspen.memory_agent.interface import Tool
from aspen.memory_graph import CARRYING
from aspen.types import MemoryType, RelationType

MAX_QUERY = 500
"""Longest query, in characters."""
MAX_IDS = 20
"""Most memories in one call."""

_TYPES = [kind.value for kind in MemoryType]
_CARRYING = [kind.value for kind in RelationType if kind in CARRYING]
#: The others are made by the store, by use, or by a correction: a model has no say in them.
_MADE = [kind for kind in _CARRYING if kind != RelationType.CO_ACTIVATED]
_ID = {"type": ["string", "integer"], "minLength": 1, "maxLength": 40, "minimum": 1, "maximum": 9999}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_BOOST = {"type": "number", "minimum": 1, "maximum": 10}


def _ids() -> dict[str, Any]:
    return {"type": "array", "items": _ID, "minItems": 1, "maxItems": MAX_IDS}


def _tool(
    name: str,
    description: str,
    properties: dict[str, Any],
    *,
    required: tuple[str, ...],
    example: dict[str, Any],
) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        "examples": [example],
    }
    return Tool(name, description, schema)


_ALL = (
    _tool(
        "search_memories",
        "Find memories that resonate with a question, by meaning and by words, best first.",
        {
            "query": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_IDS},
            "types": {"type": "array", "items": {"enum": _TYPES}, "minItems": 1, "maxItems": len(_TYPES)},
            "use_spreading_activation": {"type": "boolean"},
        },
        required=("query",),
        example={"query": "Where does my sister live?"},
    ),
    _tool(
        "get_memories",
        "Read memories in full, with the relations that lead from each to others.",
        {"ids": _ids()},
        required=("ids",),
        example={"ids": ["4", "2", "6"]},
    ),
    _tool(
        "spread_activation",
        "Let activation spread from memories over their relations: what they lead to, most active first.",
        {
            "seed_ids": _ids(),
            "max_hops": {"type": "integer", "minimum": 0, "maximum": 3},
            "type_boost": {
                "type": "object",
                "properties": dict.fromkeys(_TYPES, _BOOST),
                "required": [],
                "additionalProperties": False,
            },
            "top_k": {"type": "integer", "minimum": 1, "maximum": 50},
            "decay": {"type": "number", "minimum": 0.05, "maximum": 1},
            "min_weight": _SHARE,
            "relation_types": {
                "type": "array",
                "items": {"enum": _CARRYING},
                "minItems": 1,
                "maxItems": len(_CARRYING),
            },
        },
        required=("seed_ids",),
        example={"seed_ids": ["4", "2", "6"]},
    ),
    _tool(
        "remember",
        "Store a conclusion as a new memory. It is marked as inferred, not as said by the person.",
        {
            "text": {"type": "string", "minLength": 1, "maxLength": 2000},
            "type": {"enum": _TYPES},
            "importance": _SHARE,
            "tags": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 40},
                "maxItems": 10,
            },
        },
        required=("text", "type"),
        example={"text": "My sister seems to like the sea.", "type": "pattern"},
    ),
    _tool(
        "relate",
        "Store how one memory relates to another: read 'source RELATION target'.",
        {
            "source": _ID,
            "target": _ID,
            "relation": {"enum": _MADE},
            "weight": _SHARE,
        },
        required=("source", "target", "relation"),
        example={"source": "4", "target": "2", "relation": "supports"},
    ),
)

TOOLS: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in _ALL})
"""By name."""
WRITING = frozenset({"remember", "relate"})
"""The tools that change the store."""


def narrowed(name: str, properties: Mapping[str, Any]) -> Tool:
    """A tool with these arguments only, all of them required: fewer choices are fewer ways to go wrong.

    `properties` are schemas by name of argument; what they admit, the whole tool admits, too.
    """
    tool = TOOLS[name]
    (example,) = tool.parameters["examples"]
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
        "examples": [{key: value for key, value in example.items() if key in properties}],
    }
    return replace(tool, parameters=schema)


def as_query(question: str) -> str:
    """A question as a query: on one line, whole words of its first MAX_QUERY characters."""
    line = " ".join(question.split())
    if len(line) <= MAX_QUERY:
        return line
    head = line[: MAX_QUERY + 1]
    return (head.rpartition(" ")[0] or head)[:MAX_QUERY]
