"""What DuckDB sorts by orders rows as documents are ordered, null and missing included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.followers.columnar.test_writes import NUMBER_OF_TABLE, revision

from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.followers.columnar.orders import parts, sorted_by
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.writes import inserting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

FIELD = 'a/b~"c'
plain = st.sampled_from(
    [None, UNDEFINED, True, False, 0, 1, -2.5, 1e300, 10, "", "a", 'é"\n', "Z", "true"]
)


def made(connection: duckdb.DuckDBPyConnection, values: Sequence[Any]) -> MirrorTable:
    """A table with a document for each value."""
    table = MirrorTable(NUMBER_OF_TABLE, id_number=NUMBER_OF_TABLE)
    table.create(connection)
    documents = [
        revision(f"d{at}", at, **({} if value is UNDEFINED else {FIELD: value}))
        for at, value in enumerate(values)
    ]
    table.write(connection, inserting(table, documents, 0))
    return table


def ordered(
    connection: duckdb.DuckDBPyConnection, values: Sequence[Any], *, way: str
) -> list[int] | None:
    """The places of the values in the order that DuckDB gives; None: it gives none."""
    table = made(connection, values)
    by = sorted_by(table.columns, (FIELD,))
    if by is None:
        return None
    keys = ", ".join(f"{each} {way}" for each in [*by, "_from"])
    rows = connection.execute(f"SELECT _from FROM {table.current} ORDER BY {keys}")
    return [at for (at,) in rows.fetchall()]


@given(st.lists(plain, min_size=1, max_size=8))
@settings(max_examples=100)
def test_plain_values_of_any_kind_are_sorted_by_duckdb(connection: Any, values: Any):
    places = range(len(values))
    by_key = sorted(places, key=lambda at: (encode_key(values[at]), at))
    assert ordered(connection, values, way="ASC NULLS FIRST") == by_key
    assert ordered(connection, values, way="DESC NULLS LAST") == by_key[::-1]


@given(st.lists(plain, min_size=1, max_size=8))
@settings(max_examples=100)
def test_part_after_part_is_the_same_order(connection: Any, values: Any):
    places = range(len(values))
    by_key = sorted(places, key=lambda at: (encode_key(values[at]), at))
    table = made(connection, values)
    found = parts(table.columns, [(FIELD,)])
    assert found is not None
    rows = [
        at
        for part in found
        for (at,) in connection.execute(
            f"SELECT _from FROM {table.current} WHERE {part.where}"
            f" ORDER BY {', '.join([*part.keys, '_from'])}"
        ).fetchall()
    ]
    assert rows == by_key


def test_documents_are_looked_into_only_where_there_is_no_value(connection: Any):
    """Which costs more than to sort all that have one."""
    table = made(connection, [None, UNDEFINED, 1])
    found = parts(table.columns, [(FIELD,), ("_id",)])
    assert found is not None
    *_, values = found
    assert values == ("c0 IS NOT NULL", ["c0", "_id"])


@pytest.mark.parametrize(
    "odd",
    [Int64(1), b"x", [1], {"x": 1}, -0.0, float("nan"), float("inf")],
    ids=repr,
)
def test_what_looks_like_another_value_is_not_sorted_there(connection: Any, odd: Any):
    assert ordered(connection, [1.5, "1", odd, None, UNDEFINED], way="") is None
