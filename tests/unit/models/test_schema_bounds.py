"""Bounds for what a schema leaves open: only ever narrower, and only where something is open."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from tests.unit.models.schemas import admits, schemas, values

from aspen.errors import InvalidInput
from aspen.models.schema_bounds import (
    MAX_CHARACTERS,
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_NUMBER,
    NUMBER_STEP,
    bounded,
)

STRING = {"type": "string", "maxLength": MAX_CHARACTERS}
INTEGER = {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, STRING),
        ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 9}),
        ({"type": "string", "minLength": 900}, {"type": "string", "minLength": 900, "maxLength": 900}),
        ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"const": "a"}, {"const": "a"}),
        ({"type": "integer"}, INTEGER),
        (
            {"type": "integer", "minimum": 2**60},
            {"type": "integer", "minimum": 2**60, "maximum": 2**60 + MAX_INTEGER},
        ),
        (
            {"type": "integer", "exclusiveMaximum": 5},
            {"type": "integer", "exclusiveMaximum": 5, "minimum": -MAX_INTEGER},
        ),
        (
            {"type": "number"},
            {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER, "multipleOf": NUMBER_STEP},
        ),
        (
            {"type": "number", "minimum": 0, "maximum": 1e-9},
            {"type": "number", "minimum": 0, "maximum": 1e-9},
        ),
        ({"type": "array"}, {"type": "array", "maxItems": MAX_ITEMS}),
        (
            {"type": ["string", "null"], "description": "a type of two"},
            {"type": ["string", "null"], "description": "a type of two", "maxLength": MAX_CHARACTERS},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            {"anyOf": [STRING, {"type": "null"}], "default": None},
        ),
        (
            {"$ref": "#/$defs/name", "$defs": {"name": {"type": "string"}}},
            {"$ref": "#/$defs/name", "$defs": {"name": STRING}},
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
            {"type": "array", "prefixItems": [STRING], "items": INTEGER, "maxItems": MAX_ITEMS},
        ),
    ],
)
def test_what_is_open_gets_an_end(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    before = copy.deepcopy(schema)
    assert bounded(schema) == expected
    assert schema == before


def test_an_object_that_lists_its_properties_has_no_others() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert bounded(schema) == {**schema, "properties": {"a": STRING}, "additionalProperties": False}
    for free in (
        {"additionalProperties": {"type": "null"}},
        {"patternProperties": {"^x": {"type": "null"}}},
        {"required": ["a", "b"]},
    ):
        assert bounded({**schema, **free}) == {**schema, "properties": {"a": STRING}, **free}
    assert bounded({"type": "object"}) == {"type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"type": "string"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
        {"$ref": "#/$defs/a", "type": "object", "$defs": {"a": {"type": "object"}}},
        {},
        {"type": "null", "$defs": {"unused": 5, "other": {"type": "object", "required": 5}}},
    ],
)
def test_what_several_schemas_say_together_is_left(schema: dict[str, Any]) -> None:
    assert bounded(schema) == schema


@settings(max_examples=300, deadline=None)
@given(schema=schemas(), value=values())
def test_bounds_only_narrow_and_do_so_once(schema: dict[str, Any], value: Any) -> None:
    once = bounded(schema)
    assert bounded(once) == once
    assert admits(schema, value) or not admits(once, value)


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"enum": ["bell\x07"]}, "control characters"),
        ({"type": "object", "properties": {"\x7f": {"type": "null"}}}, "control characters"),
        ({"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 2}, "2 properties"),
    ],
)
def test_what_could_not_be_kept_is_refused(schema: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        bounded(schema)
