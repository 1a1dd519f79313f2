"""documents/validators.py: each kind, as Convex writes it and as Python has it."""

from __future__ import annotations

import pytest
from tests.documents.strategies import TABLES

from convexlab.documents.ids import encode_id
from convexlab.documents.v import v
from convexlab.documents.validator import (
    NumbersOfTables,
    compile as compile_validator,
)
from convexlab.documents.value import Int64
from convexlab.errors import ValueMismatch

USER = encode_id(TABLES["users"], bytes(16))
TASK = encode_id(TABLES["tasks"], bytes(16))
STRANGER = encode_id(10999, bytes(16))


# -- as Convex writes them ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("validator", "wire", "kind", "text"),
    [
        (v.null(), {"type": "null"}, "null", "v.null()"),
        (v.number(), {"type": "number"}, "float64", "v.float64()"),
        (v.float64(), {"type": "number"}, "float64", "v.float64()"),
        (v.int64(), {"type": "bigint"}, "int64", "v.int64()"),
        (v.bigint(), {"type": "bigint"}, "int64", "v.int64()"),
        (v.commit_ts(), {"type": "commitTs"}, "commitTs", "v.commit_ts()"),
        (v.boolean(), {"type": "boolean"}, "boolean", "v.boolean()"),
        (v.string(), {"type": "string"}, "string", "v.string()"),
        (v.bytes(), {"type": "bytes"}, "bytes", "v.bytes()"),
        (v.any(), {"type": "any"}, "any", "v.any()"),
        (
            v.literal("x"),
            {"type": "literal", "value": "x"},
            "literal",
            'v.literal("x")',
        ),
        (v.literal(1), {"type": "literal", "value": 1}, "literal", "v.literal(1)"),
        (
            v.literal(True),
            {"type": "literal", "value": True},
            "literal",
            "v.literal(true)",
        ),
        (
            v.literal(Int64(5)),
            {"type": "literal", "value": {"$integer": "BQAAAAAAAAA="}},
            "literal",
            "v.literal(5n)",
        ),
        (v.id("users"), {"type": "id", "tableName": "users"}, "id", 'v.id("users")'),
        (
            v.array(v.string()),
            {"type": "array", "value": {"type": "string"}},
            "array",
            "v.array(v.string())",
        ),
        (
            v.object({"a": v.null(), "b": v.optional(v.any())}),
            {
                "type": "object",
                "value": {
                    "a": {"fieldType": {"type": "null"}, "optional": False},
                    "b": {"fieldType": {"type": "any"}, "optional": True},
                },
            },
            "object",
            "v.object({a: v.null(), b: v.optional(v.any())})",
        ),
        (
            v.record(v.string(), v.number()),
            {
                "type": "record",
                "keys": {"type": "string"},
                "values": {"fieldType": {"type": "number"}, "optional": False},
            },
            "record",
            "v.record(v.string(), v.float64())",
        ),
        (
            v.nullable(v.string()),
            {"type": "union", "value": [{"type": "string"}, {"type": "null"}]},
            "union",
            "v.union(v.string(), v.null())",
        ),
    ],
)
def test_validators_are_written_as_convex_writes_them(validator, wire, kind, text):
    assert validator.json() == wire
    assert validator.kind == kind
    assert str(validator) == text
    assert repr(v.optional(validator)) == f"v.optional({text})"


def test_introspection_has_the_parts():
    validator = v.object({"a": v.optional(v.array(v.id("users")))})
    assert validator.fields["a"].is_optional
    assert not validator.is_optional
    assert validator.fields["a"].element.table_name == "users"
    assert [m.kind for m in v.nullable(v.string()).members] == ["string", "null"]
    assert v.literal("x").value == "x"
    record = v.record(v.string(), v.any())
    assert (record.key.kind, record.value.kind) == ("string", "any")


def test_optional_is_part_of_what_a_validator_is():
    assert v.optional(v.string()) != v.string()
    assert v.optional(v.string()).required() == v.string()
    assert v.literal(1) != v.literal(True)
    assert v.string() != "v.string()"


# -- what is accepted ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validator", "accepted", "refused"),
    [
        (v.number(), [1, 1.5, float("nan"), -0.0], [Int64(1), True, None, "1"]),
        (v.int64(), [Int64(1)], [1, 1.0, True]),
        (v.commit_ts(), [Int64(1)], [1, 1.0, None]),
        (v.boolean(), [True, False], [0, 1, None]),
        (v.string(), ["", "é"], [b"", None, 1]),
        (v.bytes(), [b""], [""]),
        (v.null(), [None], [False, 0, ""]),
        (v.any(), [None, {}, [1], "x", Int64(1), b""], []),
        (v.literal(1), [1, 1.0], [True, Int64(1), "1", 2]),
        (v.literal(Int64(1)), [Int64(1)], [1, True]),
        (v.id("users"), [USER], [TASK, STRANGER, "x", None, 1]),
        (v.id("nowhere"), [], [USER, "x"]),
        (v.union(), [], [None, 1, {}]),
        (v.union(v.literal("a"), v.literal("b")), ["a", "b"], ["c", 1, None]),
        (v.array(v.nullable(v.id("users"))), [[], [USER, None]], [[TASK], [1], None]),
        (v.array(v.union(v.string(), v.number())), [["a", 1]], [[None], {"a": 1}]),
        (v.object({}), [{}], [{"a": 1}, [], None]),
        (
            v.object({"a": v.optional(v.null())}),
            [{}, {"a": None}],
            [{"a": 1}, {"b": None}],
        ),
        (
            v.record(v.id("users"), v.number()),
            [{}, {USER: 1}],
            [{TASK: 1}, {USER: "x"}, []],
        ),
        (v.record(v.string(), v.any()), [{"a": [1]}], [[], "a"]),
    ],
)
def test_what_is_accepted_and_what_is_refused(validator, accepted, refused):
    fits = validator.fits(TABLES)
    for value in accepted:
        assert fits(value), value
        validator.check(value, TABLES)
    for value in refused:
        assert not fits(value), value
        with pytest.raises(ValueMismatch):
            compile_validator(validator, TABLES)(value)


def test_tables_are_looked_up_anew_for_each_value():
    tables: dict[str, int] = {}
    check = compile_validator(v.id("users"), tables)
    with pytest.raises(ValueMismatch):
        check(USER)
    tables["users"] = TABLES["users"]
    check(USER)


def test_ids_of_an_emptied_table_are_still_its_ids():
    tables = NumbersOfTables({"users": 10005}, {10001: 10005, 10003: 10005})
    fits = v.id("users").fits(tables)
    assert [fits(encode_id(n, bytes(16))) for n in (10001, 10003, 10005)] == [True] * 3
    assert not fits(TASK)
    assert not v.id("tasks").fits(tables)(TASK)
    assert not v.id("tasks").fits(tables)(USER)
    v.id("users").check(USER, tables)
