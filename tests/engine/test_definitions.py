from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
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
from convexlab.errors import NotFound, SchemaViolation

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer

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
