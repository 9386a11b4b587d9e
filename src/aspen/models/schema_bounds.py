"""Bounds for what a JSON schema leaves open, so that a small model that repeats itself comes to an end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aspen.errors import InvalidInput

MAX_CHARACTERS = 500
"""Of a string."""
MAX_ITEMS = 32
"""Of an array."""
MAX_INTEGER = 2**53 - 1
"""Magnitude of an integer: beyond it, readers that take JSON's numbers for floats get another one."""
MAX_NUMBER = 10**9
"""Magnitude of a number."""
NUMBER_STEP = 1e-6
"""Numbers are multiples of it: without, the digits behind the point never end."""

_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_PARTS = ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf")
_COMPOSING = frozenset({"allOf", "anyOf", "oneOf", "$ref"})
#: Beside these, a composing keyword stands alone; beside any other, both must hold.
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "title", "description", "default", "examples", "$defs", "definitions"}
)
_CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1f\x7f]")


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that admits a part of what `schema` admits, in which strings, numbers and arrays have an end.

    A bound that is there stays; one that is missing is put in, and an object that lists its properties gets no
    others. Parts that several schemas describe together (allOf, or keywords beside anyOf, oneOf or $ref) are left as
    they are. No end have, still: schemas without a type, recursion, and the keys of objects that admit any key.

    Raises InvalidInput where what is generated might break the schema: control characters in it, which strings
    never hold, and more `minProperties` than are required, since keys of free choice may repeat. `schema` is one
    that the grammar's compiler has taken, so it is well-formed, but for definitions that nothing refers to.
    """
    found = next(filter(_CONTROL.search, _strings(schema)), None)
    if found is not None:
        raise InvalidInput(f"The schema holds control characters, in {found!r}: they are never generated.")
    return _bounded(schema)


def _part(schema: object) -> object:
    if isinstance(schema, list):
        return [_part(inner) for inner in schema]
    return _bounded(schema) if isinstance(schema, Mapping) else schema  # true, false, or wrong and never used


def _bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    bounds = dict(schema)
    composing = _COMPOSING & bounds.keys()
    alone = len(composing) < 2 and not bounds.keys() - composing - _ANNOTATIONS
    if "allOf" in composing or (composing and not alone):
        return bounds
    for key, value in bounds.items():
        if key in _MAPS and isinstance(value, Mapping):
            bounds[key] = {name: _part(inner) for name, inner in value.items()}
        elif key in _PARTS:
            bounds[key] = _part(value)
    kinds = bounds.get("type")
    if "enum" not in bounds and "const" not in bounds:
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            _bound(bounds, kind=kind)
    return bounds


def _bound(bounds: dict[str, Any], *, kind: object) -> None:
    """Put in the bounds that one type of a schema lacks."""
    if kind == "string":
        bounds.setdefault("maxLength", int(max(MAX_CHARACTERS, _number(bounds.get("minLength")))))
    elif kind == "array":
        bounds.setdefault("maxItems", int(max(MAX_ITEMS, _number(bounds.get("minItems")))))
    elif kind == "integer":
        _bound_magnitude(bounds, limit=MAX_INTEGER)
    elif kind == "number":
        lowest, highest = _bound_magnitude(bounds, limit=MAX_NUMBER)
        if highest - lowest > 10 * NUMBER_STEP:  # a range of few steps may hold no multiple at all
            bounds.setdefault("multipleOf", NUMBER_STEP)
    elif kind == "object":
        _close(bounds)


def _bound_magnitude(bounds: dict[str, Any], *, limit: int) -> tuple[float, float]:
    """Lowest and highest value, after those that lack were put in."""
    lowest = bounds.get("minimum", bounds.get("exclusiveMinimum"))
    highest = bounds.get("maximum", bounds.get("exclusiveMaximum"))
    if highest is None:
        highest = bounds["maximum"] = limit + max(0, int(_number(lowest)))
    if lowest is None:
        lowest = bounds["minimum"] = min(0, int(_number(highest))) - limit
    return _number(lowest), _number(highest)


def _number(value: object) -> float:
    """0 for what is no number: it stands in a definition that nothing refers to, or is not there."""
    return value if isinstance(value, int | float) else 0


def _close(bounds: dict[str, Any]) -> None:
    """Let an object that lists its properties have no others."""
    properties, required = _names(bounds.get("properties")), _names(bounds.get("required"))
    if properties and "patternProperties" not in bounds and properties >= required:
        bounds.setdefault("additionalProperties", False)
    least = _number(bounds.get("minProperties"))
    if least > max(1, len(required)):
        raise InvalidInput(
            f"An object is to have {least} properties or more, and {len(required)} of them are named and required: "
            "free keys may repeat while decoding.",
            hint="Name the properties and require them.",
        )


def _names(value: object) -> set[str]:
    return {name for name in value if isinstance(name, str)} if isinstance(value, Mapping | list) else set()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
