from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from convexlab.documents.bodies import to_body
from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import encode_id
from convexlab.documents.value import nesting_of, size_of
from convexlab.engine.constraints import may_be_too_much
from convexlab.engine.definitions import create_index, create_table, set_table_state
from convexlab.errors import SchemaViolation

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.just("k"), inner),
    max_leaves=40,
)


@given(values)
def test_what_need_not_be_measured_is_within_limits(value: Any):
    document = {"a": value}
    body = to_stored(document)
    assert size_of(document) <= 9 * len(body)
    if not may_be_too_much(body):
        assert nesting_of(document) <= 16


def test_numbers_behind_a_text_are_no_brackets():
    (number,) = struct.unpack("<f", b"{[:{")
    body = to_body({"e": [number] * 400})
    assert body.count(b"{[:{") == 400
    assert not may_be_too_much(body)


def test_equal_numbers_are_equal_in_a_unique_index(steps: Any):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"], unique=True), system=True)
    steps(lambda tx: tx.insert("t", {"n": 1}))
    with pytest.raises(SchemaViolation):
        steps(lambda tx: tx.insert("t", {"n": 1.0}))
    steps(lambda tx: tx.insert("t", {"n": "1"}))


def test_two_equal_documents_of_one_transaction_are_refused(steps: Any):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"], unique=True), system=True)
    with pytest.raises(SchemaViolation):
        steps(lambda tx: tx.insert_many("t", [{"n": 1}, {"n": 1}]))


def test_a_hidden_table_takes_the_place_of_the_active_one(
    steps: Any, committer: Committer
):
    steps(lambda tx: tx.insert("t", {"n": "old"}))
    number = steps(lambda tx: create_table(tx, "t", hidden=True), system=True)
    hidden = committer.catalog.by_number[number]
    internal_id = b"0123456789abcdef"
    document = {"n": "new", "_id": encode_id(number, internal_id), "_creationTime": 1.0}
    steps(lambda tx: tx.import_document(hidden, internal_id, document), system=True)
    assert steps.documents("t") == [{"n": "old"}]
    active = committer.catalog.tables["t"]

    def swap(tx: Any) -> None:
        set_table_state(tx, active, "deleting")
        set_table_state(tx, hidden, "active")

    steps(swap, system=True)
    assert steps.documents("t") == [{"n": "new"}]
