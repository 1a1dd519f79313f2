"""What DuckDB gives is what the documents have, wherever in a row it stands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.value import Int64
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.results import MIXED, marked, rows_of
from convexlab.followers.columnar.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

HOUR = 3_600_000.0


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def test_values_of_several_kinds_are_themselves_wherever_they_are(
    connection: duckdb.DuckDBPyConnection,
):
    """An Int64 and bytes are no strings, NaN is a number, `5` is not `Int64(5)`'s text."""
    import pyarrow as pa

    mixed = ["5", 5, Int64(5), Int64(2**60), b"\0", math.inf, [1.5, "a"], {"b": None}]
    values: list[Any] = [
        {"items": mixed, "one": {"of": each}, "alone": each} for each in mixed
    ]
    columns = {
        name: (of := Values([value[name] for value in values])).array(of.kind)
        for name in values[0]
    }
    connection.register("rows", pa.table(columns))
    typed = "SELECT items::JSON[] AS items, one::STRUCT(of JSON) AS one, alone::JSON AS alone"
    found = rows_of(connection.sql(f"{typed} FROM rows"), documents=False)
    assert found == values
    assert type(found[3]["alone"]) is Int64
    assert type(found[0]["items"][3]) is Int64


def test_times_are_milliseconds_with_and_without_a_zone(
    connection: duckdb.DuckDBPyConnection,
):
    found = connection.sql(
        "SELECT to_timestamp(3600) AS a, [to_timestamp(3600)] AS b,"
        " {'A c': to_timestamp(3600)} AS c, timestamp '1970-01-01 01:00' AS d, 1 AS e"
    )
    assert rows_of(found, documents=False) == [
        {"a": HOUR, "b": [HOUR], "c": {"A c": HOUR}, "d": HOUR, "e": 1}
    ]


def test_json_that_is_no_value_says_so(connection: duckdb.DuckDBPyConnection):
    for text in ('{"$set": [1]}', "1e400"):
        found = connection.sql(f"SELECT '{text}'::JSON AS x")
        with pytest.raises(InvalidQuery, match="column `x` has JSON that is no value"):
            rows_of(found, documents=False)


def test_arrow_says_where_json_is(connection: duckdb.DuckDBPyConnection):
    found = connection.sql(
        "SELECT '1'::JSON AS a, ['1'::JSON] AS b, {'c': [{'d': '1'::JSON, 'e': 1}]} AS f, 'x' AS g"
    )
    a, b, f, g = [
        marked(field, of)
        for field, (_, of, *_) in zip(
            found.to_arrow_table().schema, found.description, strict=True
        )
    ]
    assert a.metadata == MIXED
    assert b.type.value_field.metadata == MIXED
    d, e = f.type.field("c").type.value_type.fields
    assert (d.metadata, e.metadata, g.metadata) == (MIXED, None, None)
