"""A column knows of its field what comparing it in SQL would need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.followers.columnar.kinds import ANYTHING, NUMBER, STRING, WHOLE
from convexlab.followers.columnar.shredding import (
    are_same,
    arrow_columns,
    observed,
)
from convexlab.followers.columnar.values import Fields

if TYPE_CHECKING:
    from convexlab.followers.columnar.shredding import Columns


def seen(*runs: list[dict[str, Any]]) -> Columns:
    """The columns after these documents, run after run."""
    columns: Columns = {}
    for at, documents in enumerate(runs):
        columns = observed(columns, Fields(documents), has_rows=at > 0)
    return columns


def test_system_fields_are_no_columns_of_it():
    assert [*seen([{"_id": "x", "_creationTime": 1.0, "a": 1}])] == ["a"]


def test_a_column_keeps_its_slot_and_its_kind_widens():
    columns = seen([{"a": 1, "b": "x"}], [{"c": 1, "a": 2.5}], [{"b": 1}])
    assert [(c.name, c.slot, c.kind) for c in columns.values()] == [
        ("a", 0, NUMBER),
        ("b", 1, ANYTHING),
        ("c", 2, WHOLE),
    ]


@pytest.mark.parametrize(
    ("runs", "has_null", "has_missing"),
    [
        ([[{"a": 1}, {"a": 2}]], False, False),
        ([[{"a": 1}, {"a": None}]], True, False),
        ([[{"a": 1}, {}]], False, True),
        ([[{"a": None}, {}]], True, True),
        ([[{"b": 1}], [{"a": 1}]], False, True),  # those before lack what is new
        ([[{"a": 1}], [{"b": 1}]], False, True),
    ],
)
def test_null_is_told_from_what_is_missing(
    runs: list[list[dict[str, Any]]], has_null: bool, has_missing: bool
):
    column = seen(*runs)["a"]
    assert (column.has_null, column.has_missing) == (has_null, has_missing)
    assert column.is_exact is not (has_null and has_missing)


@pytest.mark.parametrize(
    ("runs", "sizes"),
    [
        ([[{"a": 0}, {"a": None}, {"a": 0.0}]], None),
        ([[{"a": 1}, {"a": -6}]], (1, 3)),
        ([[{"a": 1}], [{"a": 0.25}]], (-1, 1)),
        ([[{"a": 2.5}], [{}], [{"a": None}, {"a": 1000}]], (2, 10)),
        ([[{"a": 1.5}, {"a": float("-inf")}]], (1, 2000)),
        ([[{"a": "x"}]], None),
    ],
)
def test_the_sizes_of_all_numbers_that_ever_were_are_known(
    runs: list[list[dict[str, Any]]], sizes: tuple[int, int] | None
):
    assert seen(*runs)["a"].sizes == sizes


def test_columns_are_the_same_while_their_kinds_are():
    columns = seen([{"a": 1}])
    assert are_same(columns, seen([{"a": 1}], [{"a": None}]))
    assert not are_same(columns, seen([{"a": 1.5}]))
    assert not are_same(columns, seen([{"a": 1, "b": 1}]))


def test_documents_are_arrays_by_slot():
    columns = seen([{"a": 1, "b": "x"}])
    arrays = arrow_columns(columns, Fields([{"b": "y"}, {"a": 3, "b": None}]))
    assert {name: array.to_pylist() for name, array in arrays.items()} == {
        "c0": [None, 3],
        "c1": ["y", None],
    }
    assert columns["b"].kind == STRING
