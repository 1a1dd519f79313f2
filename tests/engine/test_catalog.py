from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.engine.catalog import EMPTY_CATALOG, load_catalog
from convexlab.engine.definitions import create_index
from convexlab.engine.system_tables import MODULES

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer


def test_an_empty_database_has_the_system_tables(committer: Committer):
    assert committer.catalog.tables == EMPTY_CATALOG.tables
    assert committer.catalog.tables["_modules"].number == MODULES
    assert committer.catalog.user_tables() == []
    assert all(table.is_system for table in EMPTY_CATALOG.tables.values())
    assert all(0 < n < 10_001 for n in EMPTY_CATALOG.table_numbers.values())


def test_a_picture_reads_back_what_was_written(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {"a": 1}))
    index = steps(
        lambda tx: create_index(tx, "u", "by_ab", ["a", "b"], unique=True), system=True
    )
    catalog = load_catalog(committer.snapshot(), ts=committer.ts)
    assert catalog.tables["u"].index("by_ab") == index
    assert catalog.table_numbers["t"] == 10001
    assert catalog.next_table == 10003
    assert index in list(catalog.indexes())
    again = committer.catalog
    assert {n: (t.number, t.indexes) for n, t in again.tables.items()} == {
        n: (t.number, t.indexes) for n, t in catalog.tables.items()
    }


def test_k1_numbers_and_slots_are_never_used_again(steps: Any, committer: Committer):
    from convexlab.engine.backfill import work_all
    from convexlab.engine.definitions import drop_index, set_table_state

    first = steps(lambda tx: create_index(tx, "t", "by_a", ["a"]), system=True)
    steps(lambda tx: drop_index(tx, first), system=True)
    work_all(committer)
    second = steps(lambda tx: create_index(tx, "t", "by_a", ["a"]), system=True)
    assert second.slot == first.slot + 1
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    work_all(committer)
    steps(lambda tx: tx.insert("t", {}))
    assert committer.catalog.tables["t"].number == 10002
    assert committer.catalog.by_number[10001].state == "deleted"
