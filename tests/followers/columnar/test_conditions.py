"""Filters as SQL: never too little, and exact where it says so."""

from __future__ import annotations

from typing import Any

import pytest

from convexlab.documents.value import UNDEFINED, Int64
from convexlab.followers.columnar.conditions import Split, cell, split
from convexlab.followers.columnar.shredding import Columns, observed
from convexlab.followers.columnar.values import Fields

DOCUMENTS = [
    {"n": 1, "s": "a", "any": "a", "at": {"city": "Rome", "x": 1.5}, "odd": -0.0},
    {"n": None, "s": "b", "any": 3, "at": {"city": None}, "odd": 1.0},
    {"s": "c", "any": None, "odd": 2.0},
]
FIELD = ("field", "n")


def columns(*documents: dict[str, Any]) -> Columns:
    return observed({}, Fields(documents or DOCUMENTS), has_rows=False)


def asked(way: str, name: str, constant: Any) -> Split:
    field = ("field", *name.split("."))
    return split((way, field, ("literal", constant)), columns())


@pytest.mark.parametrize(
    ("way", "name", "constant"),
    [
        ("gt", "n", 0),  # neither null nor missing is greater
        ("lt", "n", 0),  # both are less
        ("eq", "s", "b"),
        ("eq", "n", "text"),
        ("eq", "nowhere", UNDEFINED),
        ("eq", "at.city", "Rome"),
        ("gt", "at.nowhere", None),
        ("eq", "s.inside", 1),
        ("gte", "_creationTime", 7.0),
    ],
)
def test_what_the_columns_tell_is_not_judged_again(way: str, name: str, constant: Any):
    found = asked(way, name, constant)
    assert found.rest is None
    assert found.sql != "true"


@pytest.mark.parametrize(
    ("way", "name", "constant"),
    [
        ("eq", "n", None),  # null, or missing
        ("gte", "n", None),
        ("eq", "any", "a"),
        ("gt", "odd", 1.5),  # the negative zero is let through
        ("gt", "at.x", 1),  # as NaN would be
    ],
)
def test_what_may_let_through_too_much_is_judged_again(
    way: str, name: str, constant: Any
):
    found = asked(way, name, constant)
    assert found.rest is not None
    assert found.sql != "true"


@pytest.mark.parametrize(
    ("way", "name", "constant"),
    [("gt", "any", 1), ("eq", "any", Int64(1)), ("eq", "at", {}), ("eq", "any.x", 1)],
)
def test_what_columns_do_not_tell_is_left_to_the_documents(
    way: str, name: str, constant: Any
):
    found = asked(way, name, constant)
    assert (found.sql, found.rest is not None) == ("true", True)


def test_a_column_without_nulls_is_compared_as_it_is():
    """So that DuckDB passes over blocks in which no value can be."""
    assert asked("gt", "s", "b").sql == "true AND (c1 > ?)"


def test_a_part_that_may_fail_keeps_later_ones_from_excluding_anything():
    failing = ("gt", ("add", FIELD, ("literal", 1)), ("literal", 0))
    known = ("eq", ("field", "s"), ("literal", "b"))
    found = split(("and", failing, known), columns())
    assert found.sql == "true"
    assert split(("and", known, failing), columns()).rest == failing


def test_an_inexact_part_is_never_negated():
    found = split(("not", ("eq", ("field", "any"), ("literal", "a"))), columns())
    assert found.sql == "true"


def test_only_exact_columns_order_rows():
    known = columns()
    assert cell(known, ("s",)) is not None
    for name in ("n", "any", "odd", "at"):
        assert cell(known, (name,)) is None
    assert cell(known, ("at", "city")) is None
