"""A table is built in one transaction, however its columns change on the way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.columnar.test_writes import NUMBER_OF_TABLE, revision

from convexlab import knobs
from convexlab.followers.columnar.building import Building
from convexlab.followers.columnar.tables import MirrorTable

if TYPE_CHECKING:
    import duckdb


@pytest.fixture
def table(connection: duckdb.DuckDBPyConnection) -> MirrorTable:
    table = MirrorTable(NUMBER_OF_TABLE, id_number=NUMBER_OF_TABLE)
    table.create(connection)
    return table


def test_slices_are_there_at_its_end_and_not_before(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable
):
    building = Building(connection, table)
    for part in range(3):
        building.take([revision(f"d{part}", 1, n=part)])
    count = f"SELECT count(*) FROM {table.current}"
    assert connection.execute(count).fetchone() < (3,)
    building.finish()
    assert connection.execute(count).fetchone() == (3,) == (table.rows,)


def test_few_slices_are_on_their_way_at_once(
    connection: duckdb.DuckDBPyConnection,
    table: MirrorTable,
    monkeypatch: pytest.MonkeyPatch,
):
    """They are held in memory."""
    monkeypatch.setattr(knobs, "MIRROR_WAITING_SLICES", 1)
    insert, may_go_on = MirrorTable.insert, threading.Event()

    def slow(self: MirrorTable, *batch: Any) -> None:
        assert may_go_on.wait(60)
        insert(self, *batch)

    monkeypatch.setattr(MirrorTable, "insert", slow)
    building = Building(connection, table)
    for part in range(2):
        building.take([revision(f"d{part}", 1, n=part)])
    third = threading.Thread(target=building.take, args=([revision("d2", 1, n=2)],))
    third.start()
    third.join(0.05)
    assert third.is_alive()
    may_go_on.set()
    third.join(60)
    building.finish()
    count = f"SELECT count(*) FROM {table.current}"
    assert connection.execute(count).fetchone() == (3,)


def test_columns_that_change_keep_what_was_taken_in(
    connection: duckdb.DuckDBPyConnection, table: MirrorTable
):
    building = Building(connection, table)
    for at, n in enumerate([None, 1, 2.5, "x", {"y": 1}]):
        building.take([revision(f"d{at}", 1, n=n)])
    building.take([revision("new", 1, more=True)])
    building.finish()
    rows = connection.execute(f"SELECT c0, c1 FROM {table.current}").fetchall()
    assert rows == [
        (None, None),
        ("1.0", None),
        ("2.5", None),
        ('"x"', None),
        ('{"y":1.0}', None),
        (None, True),
    ]
    assert table.columns["more"].has_missing


def test_what_cannot_be_written_is_told_before_its_end(
    connection: duckdb.DuckDBPyConnection,
    table: MirrorTable,
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(*_: object) -> None:
        raise OSError("no space left")

    building = Building(connection, table)
    building.take([revision("a", 1, n=1)])
    with monkeypatch.context() as patch:
        patch.setattr(MirrorTable, "insert", fail)
        building.take([revision("b", 1, n=2)])
    with pytest.raises(OSError, match="no space"):
        building.finish()
    table.create(connection)  # nobody holds it any more
