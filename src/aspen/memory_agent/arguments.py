"""Arguments of a tool, checked against its JSON schema before anything is done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aspen.errors import InvalidInput

_SHOWN = 60
"""Characters of a refused value that are told."""


def check_arguments(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """InvalidInput, with the place and what is expected there, unless `schema` admits `arguments`.

    The schema is of the part of JSON Schema that tools use: `type` (one or several), `enum`, bounds of strings, arrays
    and numbers, `properties` with `required` and `additionalProperties: false`, and `items`. Numbers are not taken for
    booleans, nor text for numbers.
    """
    _check(dict(arguments), schema, at="arguments")


def _check(value: object, schema: Mapping[str, Any], *, at: str) -> None:
    if "enum" in schema:
        # 1 == True == 1.0 in Python; in JSON they are three.
        if not any(type(value) is type(choice) and value == choice for choice in schema["enum"]):
            raise _refused(at, f"one of {', '.join(map(str, schema['enum']))}", value)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = next((kind for kind in kinds if _is(value, kind)), None)
    if kind is None:
        raise _refused(at, " or ".join(_NAMES[kind] for kind in kinds), value)
    _CHECKS[kind](value, schema, at=at)


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _PYTHON[kind])


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], *, at: str) -> None:
    known = schema["properties"]
    for name in schema["required"]:
        if name not in value:
            raise InvalidInput(f"{at} lack {name!r}.", hint=f"Known are {', '.join(known)}.")
    for name, inner in value.items():
        if name not in known:
            raise InvalidInput(f"{at} have no {str(name)[:_SHOWN]!r}.", hint=f"Known are {', '.join(known)}.")
        _check(inner, known[name], at=name)


def _check_array(value: list[Any], schema: Mapping[str, Any], *, at: str) -> None:
    _check_size(len(value), schema.get("minItems", 0), schema["maxItems"], what="entries", at=at)
    for number, inner in enumerate(value):
        _check(inner, schema["items"], at=f"{at}[{number}]")


def _check_string(value: str, schema: Mapping[str, Any], *, at: str) -> None:
    _check_size(len(value), schema.get("minLength", 0), schema["maxLength"], what="characters", at=at)


def _check_size(size: int, low: int, high: int, *, what: str, at: str) -> None:
    if not low <= size <= high:
        raise InvalidInput(f"{at} must have {low} to {high} {what}, got {size}.")


def _check_number(value: float, schema: Mapping[str, Any], *, at: str) -> None:
    if not schema["minimum"] <= value <= schema["maximum"]:  # NaN fails, too
        raise _refused(at, f"in [{schema['minimum']}, {schema['maximum']}]", value)


def _check_boolean(value: bool, schema: Mapping[str, Any], *, at: str) -> None:  # noqa: FBT001 - one of _CHECKS
    """Both booleans are fine."""


def _refused(at: str, wanted: str, value: object) -> InvalidInput:
    told = repr(value)
    told = told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."
    return InvalidInput(f"{at} must be {wanted}, got {told}.")


_PYTHON: Mapping[str, type | tuple[type, ...]] = {
    "object": Mapping,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
_NAMES: Mapping[str, str] = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_CHECKS: Mapping[str, Callable[..., None]] = {
    "object": _check_object,
    "array": _check_array,
    "string": _check_string,
    "integer": _check_number,
    "number": _check_number,
    "boolean": _check_boolean,
}
