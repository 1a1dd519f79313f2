"""A JSON Schema takes the JSON that a format writes, and nothing else."""

from __future__ import annotations

import json

import jsonschema
import pytest

from convexlab import Int64, v
from convexlab.documents.encoding import to_clean_json, to_export_json, to_wire
from convexlab.functions.json_schemas import (
    FORMATS,
    schema_of_shape,
    schema_of_validator,
)
from convexlab.functions.shapes import Seen

WRITERS = {
    "json": to_clean_json,
    "export_json": to_export_json,
    "convex_encoded_json": to_wire,
}
VALUE = {
    "nothing": None,
    "yes": True,
    "number": 1.5,
    "big": Int64(5),
    "text": "a",
    "bytes": b"\xff",
    "list": ["a", None],
    "map": {"x": 1.0},
    "state": "open",
    "of": "some id",
}
VALIDATOR = v.object(
    {
        "nothing": v.null(),
        "yes": v.boolean(),
        "number": v.number(),
        "big": v.int64(),
        "text": v.string(),
        "bytes": v.bytes(),
        "list": v.array(v.nullable(v.string())),
        "map": v.record(v.string(), v.number()),
        "state": v.union(v.literal("open"), v.literal("done")),
        "of": v.id("users"),
        "more": v.optional(v.any()),
    }
)


def takes(schema, value, form):
    found = json.loads(WRITERS[form](value))
    return jsonschema.Draft7Validator(schema).is_valid(found)


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_validator_takes_its_schema_takes(form):
    schema = schema_of_validator(VALIDATOR.json(), form)
    jsonschema.Draft7Validator.check_schema(schema)
    assert takes(schema, VALUE, form)
    assert takes(schema, {**VALUE, "more": [1.0]}, form)
    for wrong in (
        {"nothing": 1.0},
        {"number": "a"},
        {"big": 5.5},
        {"list": [1.0]},
        {"map": {"x": "y"}},
        {"state": "closed"},
        {"other": 1.0},
    ):
        assert not takes(schema, {**VALUE, **wrong}, form), wrong
    assert not takes(schema, {}, form)


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_seen_fits_its_own_shape(form):
    values = [VALUE, {**VALUE, "number": float("inf"), "more": {}}, {"text": None}]
    seen = Seen({"some id": "users"}.get)
    for value in values:
        seen.add(value)
    schema = schema_of_shape(seen.shape(), form)
    jsonschema.Draft7Validator.check_schema(schema)
    assert all(takes(schema, value, form) for value in values)
    assert not takes(schema, {"text": 1.0}, form)


def test_a_literal_of_a_large_number_is_of_its_kind():
    schema = schema_of_validator(v.literal(Int64(7)).json(), "json")
    assert schema == {"type": "string"}


def test_equal_members_of_a_union_are_one():
    validator = v.union(v.id("users"), v.id("users")).json()
    assert schema_of_validator(validator, "json")["type"] == "string"


def test_nothing_fits_never():
    assert not takes(schema_of_shape({"type": "Never"}, "json"), None, "json")
    assert takes(schema_of_validator(v.any().json(), "json"), None, "json")
