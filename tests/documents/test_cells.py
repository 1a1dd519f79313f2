"""What a cell stands for is what its column is of, as the schema has it."""

from __future__ import annotations

import pytest

from convexlab import v
from convexlab.documents.cells import OPEN, columns_in, columns_of
from convexlab.documents.value import UNDEFINED, Int64

NUMBER = v.number()


def column(validator):
    return columns_of(v.object({"f": validator}).json())["f"]


@pytest.mark.parametrize(
    ("validator", "cell", "value"),
    [
        (NUMBER, "1e3", 1000.0),
        (NUMBER, "1_000", "1_000"),
        (NUMBER, "x", "x"),
        (NUMBER, "", UNDEFINED),
        (v.optional(NUMBER), "", UNDEFINED),
        (v.nullable(NUMBER), "", None),
        (v.optional(v.nullable(NUMBER)), "", UNDEFINED),
        (v.string(), "01234", "01234"),
        (v.string(), "", ""),
        (v.optional(v.string()), "", ""),
        (v.int64(), "5", Int64(5)),
        (v.int64(), "5.5", "5.5"),
        (v.int64(), str(2**63), str(2**63)),
        (v.boolean(), "True", True),
        (v.boolean(), "yes", "yes"),
        (v.id("users"), "12", "12"),
        (v.id("users"), "", UNDEFINED),
        (v.union(v.string(), NUMBER), "12", 12.0),
        (v.union(v.string(), NUMBER), "twelve", "twelve"),
        (v.union(v.literal("1"), v.literal("2")), "1", "1"),
        (v.union(v.literal(1), v.literal("many")), "1", 1.0),
        (v.array(v.string()), '["a", "b"]', ["a", "b"]),
        (v.array(v.string()), "a, b", "a, b"),
        (v.array(v.string()), "[a", "[a"),
        (v.record(v.string(), NUMBER), '{"a": 1}', {"a": 1}),
    ],
)
def test_a_cell_is_a_value_of_its_column(validator, cell, value):
    """What is none of its values stands as it is: the schema says so."""
    read = column(validator).value(cell)
    assert read == value
    assert type(read) is type(value) or {type(read), type(value)} <= {int, float}


def test_a_field_of_several_kinds_of_documents_is_of_any_of_their_types():
    told = v.union(
        v.object({"kind": v.literal("a"), "n": NUMBER}),
        v.object({"kind": v.literal("b"), "n": v.optional(v.boolean())}),
    )
    columns = columns_of(told.json())
    assert columns["n"].value("true") is True
    assert columns["n"].value("2") == 2.0
    assert columns["n"].may_miss


def test_where_the_schema_says_nothing_the_column_does():
    assert columns_of(None) == columns_of(v.any().json()) == {}
    assert column(v.any()).is_open
    assert OPEN.is_open
    told = {"tables": [{"tableName": "t", "documentType": v.object({}).json()}]}
    assert columns_in(None, "t") == columns_in(told, "t") == columns_in(told, "u") == {}
