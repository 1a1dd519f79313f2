"""What is written to a table is in its current rows, or in its past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.columnar.test_writes import NUMBER_OF_TABLE, change, revision

from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.writes import applying, inserting

if TYPE_CHECKING:
    import duckdb

    from convexlab.followers.follower import Change


@pytest.fixture
def table(connection: duckdb.DuckDBPyConnection) -> MirrorTable:
    """With two documents since 1, and what came after taken in by `run`."""
    table = MirrorTable(NUMBER_OF_TABLE, id_number=NUMBER_OF_TABLE)
    table.create(connection)
    revisions = [revision("a", 1, n=1), revision("b", 1, n=2)]
    table.write(connection, inserting(table, revisions, 0))
    return table


def run(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable, *changes: Change
) -> tuple[list[Any], list[Any]]:
    """What is current and what has passed, after these."""
    table.write(connection, applying(table, changes))
    n = f"c{table.columns['n'].slot}"
    return (
        connection.execute(
            f"SELECT {n}, _from FROM {table.current} ORDER BY _from, {n}"
        ).fetchall(),
        connection.execute(
            f"SELECT {n}, _from, _to FROM {table.past} ORDER BY _from"
        ).fetchall(),
    )


def test_what_is_replaced_or_deleted_moves_to_the_past(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable
):
    changes = [change("a", 5, 1, n=10), change("a", 6, 5, n=11), change("b", 7, 1)]
    now, then = run(connection, table, *changes)
    assert now == [(11, 6)]
    assert sorted(then) == [(1, 1, 5), (2, 1, 7), (10, 5, 6)]
    assert (table.rows, table.changed_ts) == (1, 7)


def test_a_column_that_widens_is_filled_anew_now_and_then(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable
):
    run(connection, table, change("a", 5, 1, n=3))
    now, then = run(connection, table, change("c", 6, 0, n="x"))
    assert now == [("2.0", 1), ("3.0", 5), ('"x"', 6)]
    assert then == [("1.0", 1, 5)]


def test_what_was_superseded_before_is_forgotten(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable
):
    run(connection, table, change("a", 5, 1, n=3), change("b", 7, 1, n=4))
    table.trim(connection, 5)
    now, then = run(connection, table, change("c", 8, 0, n=5))
    assert now == [(3, 5), (4, 7), (5, 8)]
    assert then == [(2, 1, 7)]
    assert table.exact_from == 5
