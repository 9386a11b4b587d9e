"""Random small JSON schemas, and a checker for them that shares nothing with the code under test."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

_TYPES: dict[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: _TYPES["number"](value) and value == int(value),
}
#: Keyword, the type it speaks of, and when it holds.
_KEYWORDS: list[tuple[str, str, Any]] = [
    ("maxLength", "string", lambda value, bound: len(value) <= bound),
    ("minLength", "string", lambda value, bound: len(value) >= bound),
    ("pattern", "string", lambda value, bound: re.search(bound, value) is not None),
    ("maximum", "number", lambda value, bound: value <= bound),
    ("minimum", "number", lambda value, bound: value >= bound),
    ("exclusiveMinimum", "number", lambda value, bound: value > bound),
    ("multipleOf", "number", lambda value, bound: Decimal(repr(value)) % Decimal(repr(bound)) == 0),
    ("maxItems", "array", lambda value, bound: len(value) <= bound),
    ("minItems", "array", lambda value, bound: len(value) >= bound),
    ("items", "array", lambda value, bound: all(admits(bound, item) for item in value)),
    ("required", "object", lambda value, bound: set(bound) <= set(value)),
]


def admits(schema: Any, value: Any) -> bool:
    """Whether a value follows a schema; knows the keywords that `schemas()` and the bounds use."""
    if isinstance(schema, bool):
        return schema
    known = {keyword for keyword, _, _ in _KEYWORDS} | {
        "type", "enum", "const", "anyOf", "properties", "additionalProperties"
    }  # fmt: skip
    assert schema.keys() <= known, schema.keys() - known
    kinds = schema.get("type", list(_TYPES))
    if not any(_TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is not None and not any(type(value) is type(one) and value == one for one in choices):
        return False
    if "anyOf" in schema and not any(admits(branch, value) for branch in schema["anyOf"]):
        return False
    if isinstance(value, dict):
        others = schema.get("additionalProperties", True)
        properties = schema.get("properties", {})
        if not all(admits(properties.get(name, others), inner) for name, inner in value.items()):
            return False
    return all(
        holds(value, schema[keyword])
        for keyword, kind, holds in _KEYWORDS
        if keyword in schema and _TYPES[kind](value)
    )


def _between(low: str, high: str, *, largest: int, least: int = 0) -> st.SearchStrategy[dict[str, int]]:
    """Neither, one or both of two bounds."""

    def bounds(pair: list[int], names: tuple[str, ...]) -> dict[str, int]:
        return {name: max(pair) if name == high else min(pair) for name in names}

    pairs = st.lists(st.integers(least, largest), min_size=2, max_size=2)
    return st.builds(bounds, pairs, st.sampled_from([(), (low,), (high,), (low, high)]))


def _typed(kind: str, keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return keywords.map(lambda extra: {"type": kind, **extra})


_TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=6)
_CONSTANTS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), _TEXTS)
_NAMES = st.sampled_from(["a", "ab", "b", "top_k", "ümlaut 🙂", 'with "quotes"', "back\\slash", ""])
_SCALARS = st.one_of(
    _typed("string", _between("minLength", "maxLength", largest=8)),
    _typed("integer", _between("minimum", "maximum", least=-300, largest=300)),
    _typed("number", _between("minimum", "maximum", least=-3, largest=3)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["integer", "null"]}]),
    st.sampled_from([{"type": "string", "pattern": p} for p in ("^[a-c]{1,3}$", "^m_[0-9a-f]{4}$")]),
    _CONSTANTS.map(lambda value: {"const": value}),
    st.lists(_CONSTANTS, min_size=1, max_size=4).map(lambda values: {"enum": values}),
)


@st.composite
def _objects(draw: Any, parts: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(_NAMES, parts, max_size=3))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if properties and draw(st.booleans()):
        schema["required"] = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.one_of(st.just(False), parts))
    return schema


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas up to three levels deep."""
    return st.recursive(
        _SCALARS,
        lambda parts: st.one_of(
            _objects(parts),
            st.builds(
                lambda items, sizes: {"type": "array", "items": items, **sizes},
                parts,
                _between("minItems", "maxItems", largest=3),
            ),
            st.lists(parts, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        ),
        max_leaves=6,
    )


def values() -> st.SearchStrategy[Any]:
    """Values that now and then follow such a schema."""
    scalars = st.one_of(_CONSTANTS, st.floats(-4, 4), st.sampled_from(["ab", "m_00ff", "x" * 600, 10**17]))
    return st.recursive(
        scalars,
        lambda parts: st.one_of(st.lists(parts, max_size=40), st.dictionaries(_NAMES, parts, max_size=3)),
        max_leaves=5,
    )
