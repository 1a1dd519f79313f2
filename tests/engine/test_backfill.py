from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.audit import audit
from convexlab.engine.backfill import (
    SchemaCheck,
    clear_slice,
    fill_slice,
    filled,
    work_all,
    work_slice,
)
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import (
    create_index,
    declare_schema,
    drop_index,
    set_table_state,
)

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "SLICE_DOCUMENTS", 10)


def fill(steps: Any, count: int = 35) -> list[str]:
    ids: list[str] = steps(
        lambda tx: tx.insert_many("t", [{"n": -n} for n in range(count)])
    )
    return ids


def test_b1_an_index_on_existing_documents_is_filled(
    steps: Any, committer: Committer, persistence: Persistence
):
    fill(steps)
    index = steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    assert index.state == "backfilling"
    slices = 0
    while work_slice(committer):
        slices += 1
        committer.settle_all()
    assert slices == 4
    assert [d["n"] for d in steps.documents("t", "by_n")] == list(range(-34, 1))
    audit(persistence)


def test_how_far_a_backfill_is_is_told_now_and_then(
    steps: Any, committer: Committer, monkeypatch: pytest.MonkeyPatch
):
    """Not at each slice, and after a restart too; once it is over, nothing is kept."""
    monkeypatch.setattr(knobs, "BACKFILL_TELL_DOCUMENTS", 20)
    fill(steps, 55)
    index = steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    told = []
    while not fill_slice(committer, index):
        committer.settle_all()
        committer = Committer(committer.persistence)
        tx = committer.begin(writable=False)
        told.append(filled(tx, index))
    assert told == [0, 20, 20, 40, 40]
    committer.settle_all()
    assert steps.documents("_settings") == []


def test_a_backfill_goes_on_after_a_restart(
    steps: Any, committer: Committer, persistence: Persistence
):
    fill(steps)
    index = steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    assert not fill_slice(committer, index)
    committer.settle_all()
    committer = Committer(persistence)
    slices = 1
    while work_slice(committer):
        slices += 1
    assert slices == 4
    committer.settle_all()
    assert committer.catalog.tables["t"].index("by_n").is_usable
    audit(persistence)


def test_writes_during_a_backfill_are_kept_up(
    steps: Any, committer: Committer, persistence: Persistence
):
    ids = fill(steps)
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    for n in range(8):
        work_slice(committer)
        steps(lambda tx, n=n: tx.patch(ids[n], {"n": 100 + n}), settle=False)
        steps(lambda tx, n=n: tx.delete(ids[34 - n]), settle=False)
        steps(lambda tx, n=n: tx.insert("t", {"n": 200 + n}), settle=n % 2 == 0)
    work_all(committer)
    audit(persistence)
    assert len(steps.documents("t", "by_n")) == 35


def test_an_index_that_a_push_enables_waits_for_it(steps: Any, committer: Committer):
    fill(steps)
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"], enable=False), system=True)
    work_all(committer)
    (index,) = committer.catalog.tables["t"].others
    assert index.state == "backfilled"


@pytest.mark.parametrize("duplicate", ["before", "during, ahead", "during, behind"])
def test_b2_no_pair_of_duplicates_goes_unseen(
    steps: Any, committer: Committer, duplicate: str
):
    ids = fill(steps)
    if duplicate == "before":
        steps(lambda tx: tx.patch(ids[30], {"n": -2}))
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"], unique=True), system=True)
    work_slice(committer)
    if duplicate == "during, ahead":
        steps(lambda tx: tx.insert("t", {"n": -33}))
    if duplicate == "during, behind":
        steps(lambda tx: tx.insert("t", {"n": -2}))
    work_all(committer)
    (index,) = committer.catalog.tables["t"].others
    assert index.state == "failed"
    assert "is unique" in str(index.error)


def test_a_dropped_index_leaves_nothing(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    fill(steps, 150)
    index = committer.catalog.tables["t"].index("by_n")
    steps(lambda tx: drop_index(tx, index), system=True)
    work_all(committer)
    assert committer.catalog.tables["t"].others == ()
    with persistence.snapshot() as snapshot:
        assert snapshot.count(index.id) == 0


def test_a_deleted_table_leaves_nothing(
    steps: Any, committer: Committer, persistence: Persistence
):
    fill(steps)
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    work_all(committer)
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    assert committer.catalog.table("t") is None
    assert not clear_slice(committer, committer.catalog.by_number[table.number])
    work_all(committer)
    with persistence.snapshot() as snapshot:
        assert snapshot.count(table.by_id.id) == 0
        assert snapshot.count(table.by_id.id | 2) == 0


NUMBERS = define_schema({"t": define_table({"n": v.number()})})


def test_existing_documents_are_checked_against_a_pending_schema(
    steps: Any, committer: Committer
):
    fill(steps)
    steps(lambda tx: declare_schema(tx, NUMBERS), system=True)
    SchemaCheck(committer).run()
    assert committer.catalog.pending is not None


def test_a_document_that_does_not_match_fails_the_schema(
    steps: Any, committer: Committer
):
    ids = fill(steps)
    steps(lambda tx: tx.patch(ids[30], {"n": "x"}))
    steps(lambda tx: declare_schema(tx, NUMBERS), system=True)
    SchemaCheck(committer).run()
    assert committer.catalog.pending is None
    (failed,) = steps.documents("_schemas")
    assert failed["state"] == "failed"
    assert f'Document with ID "{ids[30]}" in table "t"' in failed["error"]
