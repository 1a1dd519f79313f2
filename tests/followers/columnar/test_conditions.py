"""Filters as SQL: never too little, and exact where it says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.followers.columnar.test_writes import NUMBER_OF_TABLE, revision

from convexlab.documents.predicate import predicate
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.followers.columnar.conditions import Split, cell, split
from convexlab.followers.columnar.shredding import Columns, observed
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.values import Fields
from convexlab.followers.columnar.writes import inserting

if TYPE_CHECKING:
    import duckdb

DOCUMENTS: list[dict[str, Any]] = [
    {"n": 1, "s": "a", "any": "a", "at": {"city": "Rome", "x": 1.5}, "odd": -0.0},
    {"n": None, "s": "b", "any": 3, "at": {"city": None}, "odd": 1.0, "tagged": "1"},
    {"s": "c", "any": None, "odd": 2.0, "tagged": Int64(1)},
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
        ("eq", "any", "a"),
        ("neq", "any", 3),
        ("gt", "any", 1),
        ("lte", "any", math.inf),
        ("lt", "any", True),
        ("gt", "any", Int64(1)),
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
        ("eq", "tagged", "1"),  # as Int64(1) would be
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
    [
        ("gt", "tagged", 1),
        ("neq", "tagged", "1"),
        ("eq", "tagged", Int64(1)),
        ("eq", "at", {}),
        ("eq", "any.x", 1),
    ],
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
    found = split(("not", ("eq", ("field", "tagged"), ("literal", "1"))), columns())
    assert found.sql == "true"


plain = st.one_of(
    st.sampled_from([None, UNDEFINED, True, False, 0, 1, -2.5, 1e300, 10.0]),
    st.sampled_from(
        ["", "a", 'é"\n', "Z", "1.0", "true", "Infinity", "\0", "\\", "😀"]
    ),
)
constants = st.one_of(
    plain,
    st.sampled_from(
        [math.inf, -math.inf, Int64(1), b"", b"1", [], ["a"], {}, {"a": 1}]
    ),
)
ways = st.sampled_from(["eq", "neq", "lt", "lte", "gt", "gte"])


@given(st.lists(plain, min_size=1, max_size=8), ways, constants)
@settings(max_examples=200)
def test_what_duckdb_lets_through_is_what_passes(
    connection: duckdb.DuckDBPyConnection, values: list[Any], way: str, constant: Any
):
    table = MirrorTable(NUMBER_OF_TABLE, id_number=NUMBER_OF_TABLE)
    table.create(connection)
    documents = [{} if value is UNDEFINED else {"a": value} for value in values]
    rows = [revision(f"d{at}", at, **each) for at, each in enumerate(documents)]
    table.write(connection, inserting(table, rows, 0))
    node = (way, ("field", "a"), ("literal", constant))
    found = split(node, table.columns)
    text = f"SELECT _from FROM {table.current} WHERE {found.sql} ORDER BY _from"
    let_through = [at for (at,) in connection.execute(text, found.params).fetchall()]
    passes = predicate(node)
    passing = [at for at, each in enumerate(documents) if passes(each)]
    if found.rest is None:
        assert let_through == passing
    else:
        assert {None, UNDEFINED} <= set(values)  # only these look alike
        assert set(let_through) >= set(passing)


def test_only_exact_columns_order_rows():
    known = columns()
    assert cell(known, ("s",)) is not None
    for name in ("n", "any", "odd", "at"):
        assert cell(known, (name,)) is None
    assert cell(known, ("at", "city")) is None
