"""What a transaction writes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id, encode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.value import UNDEFINED
from convexlab.engine.definitions import activate_schema, create_index, declare_schema
from convexlab.engine.limits import Limits
from convexlab.engine.system_tables import TABLES
from convexlab.errors import (
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
    SchemaViolation,
)

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction


def get(tx: Transaction, document_id: str) -> Any:
    return tx.get(*decode_id(document_id))


def filled(tx: Transaction, count: int = 5) -> list[str]:
    return [tx.insert("t", {"n": n}) for n in range(count)]


def test_a_table_is_made_on_its_first_insert(steps: Any, committer: Committer):
    first = steps(lambda tx: tx.insert("t", {"a": 1}))
    second = steps(lambda tx: tx.insert("u", {"a": 1}))
    assert [decode_id(i)[0] for i in (first, second)] == [10001, 10002]
    assert [table.name for table in committer.catalog.user_tables()] == ["t", "u"]


def test_a_document_has_its_id_and_a_rising_creation_time(steps: Any):
    one, two = steps(lambda tx: [get(tx, i) for i in filled(tx, 2)])
    assert two["_creationTime"] == math.nextafter(one["_creationTime"], math.inf)
    assert one["n"] == 0


def test_system_fields_cannot_be_supplied(steps: Any):
    for field in ("_id", "_creationTime", "_mine"):
        with pytest.raises(InvalidValue):
            steps(lambda tx, field=field: tx.insert("t", {field: 1}))


def test_a_patch_sets_and_removes_fields(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1, "b": {"c": 1}}))
    steps(lambda tx: tx.patch(document, {"a": UNDEFINED, "b": {}, "d": "x"}))
    found = get(committer.begin(), document)
    assert {k: v for k, v in found.items() if k[0] != "_"} == {"b": {}, "d": "x"}


def test_replace_keeps_system_fields_only(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    steps(lambda tx: tx.replace(document, {"b": 2, "_id": document}))
    after = get(committer.begin(), document)
    assert set(after) == {"_id", "_creationTime", "b"}
    with pytest.raises(InvalidValue):
        steps(lambda tx: tx.replace(document, {"_creationTime": 5.0}))
    with pytest.raises(InvalidValue):
        steps(lambda tx: tx.patch(document, {"_id": UNDEFINED}))


def test_what_is_handed_out_is_a_copy(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": [1]}))
    tx = committer.begin()
    get(tx, document)["a"].append(2)
    assert get(tx, document)["a"] == [1]
    value = {"a": [5]}
    tx.patch(document, value)
    value["a"].append(6)
    assert get(tx, document)["a"] == [5]


@pytest.mark.parametrize("write", ["patch", "replace", "delete"])
def test_a_missing_target_is_named(steps: Any, write: str):
    document = steps(lambda tx: tx.insert("t", {}))
    steps(lambda tx: tx.delete(document))
    arguments = [document] if write == "delete" else [document, {}]
    with pytest.raises(NotFound, match=f"nonexistent document ID {document}"):
        steps(lambda tx: getattr(tx, write)(*arguments))


@pytest.mark.parametrize("change", [{"a": 1.0}, {"z": UNDEFINED}, {}])
def test_x2_a_write_that_changes_nothing_is_none(
    steps: Any, committer: Committer, change: dict[str, Any]
):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, change)
    tx.replace(document, {"a": 1})
    assert tx.usage.writes == 0
    assert tx.finish().write_set == []


def test_users_cannot_write_system_tables(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {}))
    table = encode_id(TABLES, committer.catalog.tables["t"].document_id)
    for step in (
        lambda tx: tx.insert("_tables", {}),
        lambda tx: tx.insert("_other", {}),
        lambda tx: tx.patch(table, {"name": "u"}),
    ):
        with pytest.raises(NotAllowed, match="read-only"):
            steps(step)


def test_a_query_cannot_write(committer: Committer):
    with pytest.raises(NotAllowed):
        committer.begin(writable=False).insert("t", {})


def test_documents_keep_to_their_limits(steps: Any):
    deep: Any = 1
    for _ in range(16):
        deep = [deep]
    for fields in ({"a": deep}, {"a": "x" * (1 << 20)}):
        with pytest.raises(LimitExceeded):
            steps(lambda tx, fields=fields: tx.insert("t", fields))
    steps(lambda tx: tx.insert("t", {"a": [[] for _ in range(40)]}))


def test_too_many_writes(committer: Committer):
    tx = committer.begin(limits=Limits(writes=3))
    with pytest.raises(LimitExceeded) as raised:
        filled(tx)
    assert raised.value.kind == "TooManyWrites"


SCHEMA = define_schema(
    {"t": define_table({"n": v.number(), "u": v.optional(v.id("u"))})}
)


def test_writes_obey_the_schema(steps: Any, committer: Committer):
    steps(lambda tx: (declare_schema(tx, SCHEMA), activate_schema(tx)), system=True)
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    tx = committer.begin()
    for step in (
        lambda: tx.insert("t", {"n": "x"}),
        lambda: tx.insert("t", {"n": 1, "m": 1}),
        lambda: tx.patch(document, {"n": UNDEFINED}),
        lambda: tx.replace(document, {}),
        lambda: tx.patch(document, {"u": document}),
    ):
        with pytest.raises(SchemaViolation, match="does not match the schema"):
            step()
    assert tx.finish().write_set == []  # X1


def test_an_id_of_a_table_made_later_matches(steps: Any):
    steps(lambda tx: (declare_schema(tx, SCHEMA), activate_schema(tx)), system=True)
    other = steps(lambda tx: tx.insert("u", {}))
    steps(lambda tx: tx.insert("t", {"n": 1, "u": other}))


def test_a_unique_index_refuses_a_second(steps: Any, committer: Committer):
    steps(
        lambda tx: create_index(tx, "t", "by_email", ["email"], unique=True),
        system=True,
    )
    first = steps(lambda tx: tx.insert("t", {"email": "a"}))
    second = steps(lambda tx: tx.insert("t", {"email": "b"}))
    tx = committer.begin()
    with pytest.raises(SchemaViolation, match="is unique"):
        tx.insert("t", {"email": "a"})
    with pytest.raises(SchemaViolation, match=first):
        tx.patch(second, {"email": "a"})
    tx.patch(second, {"other": 1})
    tx.delete(first)
    tx.patch(second, {"email": "a"})
    tx.insert("t", {})
    tx.insert("t", {})


def test_an_import_keeps_ids_and_creation_times(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {}))
    internal_id = b"0123456789abcdef"
    document = encode_id(10001, internal_id)
    fields = {"a": 1, "_id": document, "_creationTime": 5.5}
    steps(lambda tx: tx.import_document("t", internal_id, fields), system=True)
    assert get(committer.begin(), document) == fields
    with pytest.raises(InvalidValue, match="exists already"):
        steps(lambda tx: tx.import_document("t", internal_id, fields), system=True)
    with pytest.raises(NotAllowed):
        steps(lambda tx: tx.import_document("t", internal_id, fields))


def test_many_are_inserted_at_once(steps: Any):
    ids = steps(lambda tx: tx.insert_many("t", [{"n": n} for n in range(1000)]))
    assert len(set(ids)) == 1000
    assert [d["n"] for d in steps.documents("t")] == list(range(1000))
