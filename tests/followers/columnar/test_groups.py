"""Aggregates in DuckDB are those of the documents, sums to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import duckdb  # noqa: TID253 - what is asked
import pytest
from hypothesis import example, given, strategies as st

from convexlab.documents.aggregates import Aggregation, Groups, Measure
from convexlab.followers.columnar import groups as in_duckdb
from convexlab.followers.columnar.groups import grouped
from convexlab.followers.columnar.kinds import NUMBER, STRING, WHOLE
from convexlab.followers.columnar.shredding import Column
from convexlab.followers.columnar.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator

SUMS = Aggregation((), (Measure("sum", ("a",)), Measure("avg", ("a",))))
# As numbers are that were measured, and as they may be.
plain = st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda x: abs(x) > 1e-6)
odd = st.floats(allow_nan=False)
numbers = st.one_of(st.lists(plain, min_size=1), st.lists(odd, min_size=1))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@given(of=numbers)
@example(of=[1e16, 1.0, -1e16])
@example(of=[0.1] * 10)
@example(of=[5e-324, 1.0])
@example(of=[1.7e308, 1.7e308, -1.7e308])
@example(of=[float("inf"), 1.0])
@example(of=[0.0])
def test_sums_are_exact(connection: duckdb.DuckDBPyConnection, of: list[float]):
    check_sums(connection, of)


def check_sums(connection: duckdb.DuckDBPyConnection, of: list[float]) -> None:
    of = [x + 0.0 for x in of]  # a negative zero makes a column that is not asked
    connection.execute("CREATE OR REPLACE TABLE t (c0 DOUBLE)")
    connection.executemany("INSERT INTO t VALUES (?)", [[x] for x in of])
    expected = Groups(SUMS)
    expected.take_all({"a": x} for x in of)
    columns = {"a": Column("a", 0, NUMBER, sizes=Values(of).sizes)}
    found = grouped(connection, columns, SUMS, "t", [])
    assert found is not None
    assert repr(found.rows()) == repr(expected.rows())  # NaN is not equal to itself


@given(of=numbers)
def test_more_rows_than_numbers_are_cut_for_are_cut_anew(
    connection: duckdb.DuckDBPyConnection, of: list[float]
):
    with patch.object(in_duckdb, "_ROWS_BITS", 2):
        check_sums(connection, of)


def test_groups_are_those_of_the_documents(connection: duckdb.DuckDBPyConnection):
    """Also where all of a group, or of its keys, is NULL."""
    documents: list[dict[str, Any]] = [
        {"k": "a", "a": 0.5, "b": 3},
        {"k": "a", "a": 0.1, "b": 4},
        {"k": "b\0", "b": -1},
        {"b": 2, "a": 0.25},
    ]
    columns = {
        "k": Column("k", 0, STRING, has_missing=True),
        "a": Column("a", 1, NUMBER, has_missing=True, sizes=(-3, 0)),
        "b": Column("b", 2, WHOLE),
    }
    connection.execute("CREATE OR REPLACE TABLE t (c0 VARCHAR, c1 DOUBLE, c2 BIGINT)")
    connection.executemany(
        "INSERT INTO t VALUES (?, ?, ?)",
        [[each.get(name) for name in "kab"] for each in documents],
    )
    measures = (
        Measure("count"),
        *(Measure(kind, ("a",)) for kind in ("sum", "avg", "min", "max")),
        Measure("sum", ("b",)),
    )
    for by in [(), (("k",),), (("k",), ("b",))]:
        aggregation = Aggregation(by, measures)
        expected = Groups(aggregation)
        expected.take_all(documents)
        found = grouped(connection, columns, aggregation, "t", [])
        assert found is not None
        assert found.rows() == expected.rows()
        none = grouped(connection, columns, aggregation, "t WHERE false", [])
        assert none is not None
        assert none.rows() == Groups(aggregation).rows()
