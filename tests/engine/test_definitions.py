from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import TableNumber, decode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.alterations import drop_table
from convexlab.engine.backfill import clear_slice, work_all
from convexlab.engine.definitions import (
    activate_schema,
    create_index,
    create_table,
    deactivate_schema,
    declare_schema,
    fail_pending_schema,
    set_index_staged,
    set_index_state,
    set_table_state,
)
from convexlab.engine.past import past_catalog, periods
from convexlab.engine.snapshot import snapshot_at
from convexlab.engine.transaction import Transaction
from convexlab.errors import NotFound, SchemaViolation

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.table import TableInfo

STRICT = define_schema({"t": define_table({"n": v.number()})})
LOOSE = define_schema({"t": define_table({"n": v.any()})}, schema_validation=False)


def test_making_a_table_twice_makes_one(steps: Any):
    one = steps(lambda tx: create_table(tx, "t"), system=True)
    assert steps(lambda tx: create_table(tx, "t"), system=True) == one


@pytest.mark.parametrize("name", ["", "1x", "_x", "a b", "x" * 65])
def test_a_bad_table_name_is_refused(steps: Any, name: str):
    with pytest.raises(SchemaViolation):
        steps(lambda tx: create_table(tx, name), system=True)


def test_a_table_can_be_hidden(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "hidden"), system=True)
    assert committer.catalog.table("t") is None
    assert committer.begin().get(*decode_id(document)) is None
    assert committer.begin(system=True).get(*decode_id(document)) is not None
    assert committer.catalog.by_number[table.number].state == "hidden"
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    assert committer.begin().get(*decode_id(document)) is None


def test_an_index_on_an_empty_table_is_complete(steps: Any, committer: Committer):
    index = steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    assert index.is_usable
    later = steps(
        lambda tx: create_index(tx, "t", "by_m", ["m"], enable=False), system=True
    )
    assert later.state == "backfilled"
    steps(lambda tx: set_index_state(tx, later, "enabled"), system=True)
    assert committer.catalog.tables["t"].index("by_m").is_usable


def test_a_staged_index_is_not_queried(steps: Any, committer: Committer):
    index = steps(
        lambda tx: create_index(tx, "t", "by_n", ["n"], staged=True), system=True
    )
    with pytest.raises(NotFound, match="currently staged"):
        committer.catalog.tables["t"].index("by_n")
    steps(lambda tx: set_index_staged(tx, index, staged=False), system=True)
    assert committer.catalog.tables["t"].index("by_n").is_usable


@pytest.mark.parametrize("name", ["by_id", "by_creation_time", "_x"])
def test_a_built_in_name_is_refused(steps: Any, name: str):
    with pytest.raises(SchemaViolation):
        steps(lambda tx: create_index(tx, "t", name, ["n"]), system=True)


def test_a_schema_goes_from_pending_to_active(steps: Any, committer: Committer):
    steps(lambda tx: declare_schema(tx, STRICT), system=True)
    assert committer.catalog.schema is None
    steps(lambda tx: tx.insert("t", {"n": 1}))
    assert committer.catalog.pending is not None
    steps(activate_schema, system=True)
    assert committer.catalog.pending is None
    with pytest.raises(SchemaViolation):
        steps(lambda tx: tx.insert("t", {"n": "x"}))
    steps(lambda tx: (declare_schema(tx, LOOSE), activate_schema(tx)), system=True)
    steps(lambda tx: tx.insert("t", {"n": "x"}))
    steps(deactivate_schema, system=True)
    assert committer.catalog.schema is None


def test_a_live_write_fails_the_pending_schema_and_stays(
    steps: Any, committer: Committer
):
    steps(lambda tx: declare_schema(tx, STRICT), system=True)
    pending = committer.catalog.pending_id
    assert pending is not None
    steps(lambda tx: tx.insert("t", {"n": "x"}))
    assert steps.documents("t") == [{"n": "x"}]
    assert committer.catalog.pending is None
    (failed,) = [d for d in steps.documents("_schemas") if d["state"] == "failed"]
    assert "New document in table `t` does not match" in failed["error"]
    steps(lambda tx: fail_pending_schema(tx, "again"), system=True)


def test_a_second_pending_schema_supersedes_the_first(steps: Any, committer: Committer):
    first = steps(lambda tx: declare_schema(tx, STRICT), system=True)
    second = steps(lambda tx: declare_schema(tx, LOOSE), system=True)
    assert first != second == committer.catalog.pending_id
    states = [d["state"] for d in steps.documents("_schemas")]
    assert states == ["superseded", "pending"]


# -- documents that come with their ids -----------------------------------------


def bring(tx: Transaction, table: TableInfo, document_id: str, **fields: Any) -> str:
    """Bring a document in under the id it had."""
    _, internal_id = decode_id(document_id)
    document = {**fields, "_id": document_id, "_creationTime": 1.0}
    return tx.import_document(table, internal_id, document)


def replaced(steps: Any, committer: Committer, document_id: str) -> TableInfo:
    """`t` is replaced by a table that holds another version of one document."""
    number = decode_id(document_id)[0]
    hidden = steps(
        lambda tx: create_table(tx, "t", hidden=True, id_number=number), system=True
    )
    new = committer.catalog.by_number[hidden]
    steps(lambda tx: create_index(tx, new, "by_n", ["n"]), system=True)
    steps(lambda tx: bring(tx, new, document_id, n="new"), system=True)
    assert committer.begin().get(*decode_id(document_id))["n"] == "old"
    old = committer.catalog.tables["t"]

    def switch(tx: Transaction) -> None:
        set_table_state(tx, old, "deleting")
        set_table_state(tx, new, "active")

    steps(switch, system=True)
    return old


def test_ids_that_are_brought_in_name_the_documents_brought_in(
    steps: Any, committer: Committer
):
    one, two = steps(lambda tx: tx.insert_many("t", [{"n": "old"}, {"n": "gone"}]))
    looked = committer.begin(writable=False)
    assert looked.get(*decode_id(one))["n"] == "old"
    old = replaced(steps, committer, one)
    tx = committer.begin()
    assert tx.get(*decode_id(one)) == {"n": "new", "_id": one, "_creationTime": 1.0}
    assert tx.get(*decode_id(two)) is None
    fresh = steps(lambda tx: tx.insert("t", {"n": "fresh"}))
    assert decode_id(fresh)[0] == decode_id(one)[0], "ids go on with that number"
    steps(lambda tx: tx.patch(one, {"n": "newer"}))
    while not clear_slice(committer, old):
        committer.settle_all()
    committer.settle_all()
    work_all(committer)
    assert steps.documents("t", "by_n") == [{"n": "fresh"}, {"n": "newer"}]
    steps(lambda tx: tx.delete(one))
    assert steps.documents("t") == [{"n": "fresh"}]


def test_who_looked_at_an_id_hears_of_what_is_brought_in(
    steps: Any, committer: Committer
):
    one = steps(lambda tx: tx.insert("t", {"n": "old"}))
    steps(lambda tx: drop_table(tx, "t"), system=True)
    looked = committer.begin(writable=False)
    assert looked.get(*decode_id(one)) is None
    number = decode_id(one)[0]
    tx = committer.begin(system=True)
    create_table(tx, "t", id_number=number)
    written = tx.finish().write_set
    keys = [key for write in written for key in (*write.old_keys, *write.new_keys)]
    assert looked.read_set.touched_by(keys)


@pytest.mark.parametrize("number", [540, 20_000])
def test_a_table_takes_the_number_of_the_ids_that_it_is_for(
    steps: Any, committer: Committer, number: int
):
    made = steps(
        lambda tx: create_table(tx, "t", id_number=TableNumber(number)), system=True
    )
    assert (made == number) == (number == 20_000), "small ones are the system's"
    table = committer.catalog.tables["t"]
    assert table.id_number == number
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    assert decode_id(document)[0] == number
    assert committer.catalog.next_table > max(made, number)
    assert steps.documents("t", "by_id") == [{"n": 1}]


def test_the_past_and_the_present_of_one_id_may_be_in_two_tables(
    steps: Any, committer: Committer, persistence: Persistence
):
    one = steps(lambda tx: tx.insert("t", {"n": "old"}))
    then = committer.ts
    replaced(steps, committer, one)
    base = persistence.snapshot()
    found = periods(base, committer.catalog, "t", one)
    assert [period.revision.document["n"] for period in found] == ["old", "new"]
    with snapshot_at(base, then) as past:
        tx = Transaction(past, past_catalog(base, past))
        assert tx.get(*decode_id(one))["n"] == "old"
