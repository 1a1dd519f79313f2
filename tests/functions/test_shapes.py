"""A shape says what was seen."""

from __future__ import annotations

import pytest

from convexlab import Int64, knobs
from convexlab.functions.shapes import Seen


def shape_of(*values):
    seen = Seen({"id-of-user": "users", "id-of-task": "tasks"}.get)
    for value in values:
        seen.add(value)
    return seen.shape()


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, {"type": "Null"}),
        (True, {"type": "Boolean"}),
        (Int64(1), {"type": "Int64"}),
        (1.5, {"type": "Float64", "float64Range": {"hasSpecialValues": False}}),
        (
            float("nan"),
            {"type": "Float64", "float64Range": {"hasSpecialValues": True}},
        ),
        ("a", {"type": "String"}),
        ("id-of-user", {"type": "Id", "tableName": "users"}),
        (b"a", {"type": "Bytes"}),
        ([], {"type": "Array", "shape": {"type": "Never"}}),
        (["a", "b"], {"type": "Array", "shape": {"type": "String"}}),
        ({}, {"type": "Object", "fields": []}),
    ],
)
def test_one_value_is_its_kind(value, shape):
    assert shape_of(value) == shape


def test_nothing_seen_is_never():
    assert shape_of() == {"type": "Never"}


def test_several_kinds_are_a_union():
    assert shape_of(None, "a", None)["shapes"] == [{"type": "Null"}, {"type": "String"}]


def test_ids_among_other_texts_are_texts():
    assert shape_of("id-of-user", "a") == {"type": "String"}
    tables = [
        each["tableName"] for each in shape_of("id-of-user", "id-of-task")["shapes"]
    ]
    assert tables == ["tasks", "users"]


def test_a_field_that_is_sometimes_missing_is_optional():
    (a, b) = shape_of({"a": 1.0, "b": None}, {"a": 2.0})["fields"]
    assert (a["fieldName"], a["optional"]) == ("a", False)
    assert (b["fieldName"], b["optional"]) == ("b", True)


def test_too_many_names_are_data(monkeypatch):
    monkeypatch.setattr(knobs, "SHAPE_MOST_FIELDS", 2)
    counts = {"a": 1.0, "b": {"x": ["t"]}, "c": {"x": [None], "y": True}}
    record = shape_of(counts)
    assert (record["type"], record["keyShape"]) == ("Record", {"type": "String"})
    number, together = record["valueShape"]["shape"]["shapes"]
    assert number["type"] == "Float64"
    x, y = together["fields"]
    assert [each["type"] for each in x["shape"]["shape"]["shapes"]] == [
        "Null",
        "String",
    ]
    assert (x["optional"], y["optional"]) == (False, True)
