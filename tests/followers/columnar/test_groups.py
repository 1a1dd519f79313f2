"""Aggregates in DuckDB are those of the documents, sums to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb  # noqa: TID253 - what is asked
import pytest
from hypothesis import example, given, strategies as st

from convexlab.documents.aggregates import Aggregation, Groups, Measure
from convexlab.followers.columnar import groups as in_duckdb
from convexlab.followers.columnar.groups import grouped
from convexlab.followers.columnar.kinds import NUMBER
from convexlab.followers.columnar.shredding import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = {"a": Column("a", 0, NUMBER)}
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
    of = [x + 0.0 for x in of]  # a negative zero makes a column that is not asked
    connection.execute("CREATE OR REPLACE TABLE t (c0 DOUBLE)")
    connection.executemany("INSERT INTO t VALUES (?)", [[x] for x in of])
    expected = Groups(SUMS)
    expected.take_all({"a": x} for x in of)
    found = grouped(connection, COLUMNS, SUMS, "t", [])
    assert found is not None
    assert repr(found.rows()) == repr(expected.rows())  # NaN is not equal to itself


def test_numbers_of_like_sizes_are_added_by_duckdb():
    assert in_duckdb._scale(1e-6, 1e9) is not None
    assert in_duckdb._scale(None, 0.0) is not None
    assert in_duckdb._scale(1e-12, 1e12) is None
    assert in_duckdb._scale(1.0, float("inf")) is None
    assert in_duckdb._scale(1e-300, 1e-299) is None
