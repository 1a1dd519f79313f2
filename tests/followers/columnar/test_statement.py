"""What a statement reads is what DuckDB would read, and nothing that changes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab.errors import InvalidQuery, NotFound
from convexlab.followers.columnar.statement import read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

TABLES = ("trips", "Tasks", "tasks")
# They are the same each time, in whichever process and whenever.
STEADY = {
    "current_database",
    "current_schema",
    "current_schemas",
    "error",
    "in_search_path",
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with duckdb.connect() as connection:
        yield connection


def tables(connection: duckdb.DuckDBPyConnection, text: str) -> set[str]:
    return set(read_statement(connection, text, TABLES).tables)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("with a as (from trips), b as (from a) select * from b", {"trips"}),
        ("with trips as (from trips) select * from trips", {"trips"}),
        ("with trips as (select 1 x) select * from trips", set()),
        (
            "with recursive r as (select 1 n union all select n + 1 from r where n < 3)"
            " select (select count(*) from r), (with r as (from trips) from r)",
            {"trips"},
        ),
        ("from Trips", {"trips"}),
        ("from tasks", {"tasks"}),
        ('from "Tasks"', {"Tasks"}),
    ],
)
def test_a_with_is_seen_where_it_stands(
    connection: duckdb.DuckDBPyConnection, text: str, read: set[str]
):
    assert tables(connection, text) == read


@pytest.mark.parametrize(
    "text",
    [
        # Where no WITH is in sight, DuckDB would look among its own tables.
        "with a as (with sqlite_master as (select 1) select 1) from sqlite_master",
        "with duckdb_tables as (from duckdb_tables) from duckdb_tables",
        "with a as (from pg_tables), pg_tables as (select 1) from a",
        "with recursive a as (from pg_tables), pg_tables as (select 1) from a",
    ],
)
def test_duckdbs_own_tables_are_not_there(
    connection: duckdb.DuckDBPyConnection, text: str
):
    with pytest.raises(NotFound, match="There is no table"):
        tables(connection, text)


def test_tables_that_differ_in_case_are_not_confused(
    connection: duckdb.DuckDBPyConnection,
):
    with pytest.raises(InvalidQuery, match="`TASKS` may be `Tasks`, `tasks`"):
        tables(connection, "from TASKS")
    with pytest.raises(InvalidQuery, match="cannot read both `Tasks`, `tasks`"):
        tables(connection, "from tasks join Tasks using (_id)")


def test_no_function_that_changes_by_itself_is_run(
    connection: duckdb.DuckDBPyConnection,
):
    found = connection.execute(
        "SELECT function_name, len(parameters) FROM duckdb_functions() WHERE"
        " stability <> 'CONSISTENT' OR macro_definition SIMILAR TO"
        r" '.*\b(now|random|sleep_ms|current_(query|timestamp|date|time))\b.*'"
    ).fetchall()
    assert {"now", "random", "sleep_ms", "ago"} <= {name for name, _ in found}
    for name, arguments in found:
        if name in STEADY:
            continue
        text = f"select {name}({', '.join(['1'] * arguments)})"
        with pytest.raises(InvalidQuery, match=f"`{name}`"):
            tables(connection, text)


def test_an_age_is_one_of_two_times(connection: duckdb.DuckDBPyConnection):
    tables(connection, "select age(timestamp '2026-01-02', timestamp '2026-01-01')")
    with pytest.raises(InvalidQuery, match="`age` changes by itself"):
        tables(connection, "select age(timestamp '2026-01-02')")


def test_a_sample_is_the_same_each_time(connection: duckdb.DuckDBPyConnection):
    tables(connection, "from trips using sample reservoir(5 rows) repeatable (1)")
    for sampled in ("using sample 5", "tablesample 10%"):
        with pytest.raises(InvalidQuery, match="A sample is another one each time"):
            tables(connection, f"from trips {sampled}")


def test_what_is_nested_too_deeply_says_so(connection: duckdb.DuckDBPyConnection):
    with pytest.raises(InvalidQuery, match="nested too deeply"):
        tables(connection, f"select {' + '.join(['1'] * 900)}")
