from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.documents.document import index_key
from convexlab.engine.catalog import (
    EMPTY_CATALOG,
    MODULES,
    TABLES,
    index_presence,
    load_catalog,
)
from convexlab.engine.definitions import create_index
from convexlab.engine.write_set import Revision

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer


def test_an_empty_database_has_the_system_tables(committer: Committer):
    assert committer.catalog.tables == EMPTY_CATALOG.tables
    assert committer.catalog.tables["_modules"].number == MODULES
    assert committer.catalog.user_tables() == []
    assert all(table.is_system for table in EMPTY_CATALOG.tables.values())
    assert all(0 < n < 10_001 for n in EMPTY_CATALOG.table_numbers.values())


def test_tables_that_hold_secrets_keep_no_history():
    keeps = {name: t.keeps_history for name, t in EMPTY_CATALOG.tables.items()}
    assert keeps["_modules"]
    assert not keeps["_environment_variables"]


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


def test_keys_are_those_of_documents(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_abc", ["a", "b.c"]), system=True)
    steps(lambda tx: create_index(tx, "t", "by_b", ["b"]), system=True)
    table = committer.catalog.tables["t"]
    document = {"a": 1, "b": {"c": "x"}, "_creationTime": 5.5}
    revision = Revision(table.number, b"i" * 16, 1, b"")
    revision.remember(document)
    keys = dict(table.keys_of(revision))
    assert keys[table.by_id.id] == b"i" * 16
    assert keys[table.by_creation_time.id] == index_key([], document, b"i" * 16)
    for name in ("by_abc", "by_b"):
        index = table.index(name)
        assert keys[index.id] == index_key(index.fields, document, b"i" * 16)
    assert table.keys_of(revision) is table.keys_of(revision)


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


def test_presence_of_an_index_is_a_range_of_its_name(steps: Any, committer: Committer):
    from convexlab.engine.write_set import touched_keys

    tx = committer.begin(system=True)
    index = create_index(tx, "t", "by_a", ["a"])
    touched = touched_keys(tx.finish().write_set)
    where, interval = index_presence(index.table, "by_a")
    assert any(i == where and interval.contains(key) for i, key in touched)
    assert any(i == TABLES << 16 for i, _ in touched)


def test_a_revision_stays_at_its_places_when_no_key_changed(
    steps: Any, committer: Committer
):
    steps(lambda tx: create_index(tx, "t", "by_ab", ["a.b"]), system=True)
    table = committer.catalog.tables["t"]
    old, new = (Revision(table.number, b"i" * 16, ts, b"") for ts in (1, 2))
    old.remember({"a": {"b": 1}, "_creationTime": 5.5})
    new.remember({"a": {"b": 2}, "_creationTime": 5.5})
    table.take_keys(new, old, ["a"])
    assert new.keys == ()
    table.take_keys(new, old, ["c"])
    assert table.keys_of(new) is table.keys_of(old)
