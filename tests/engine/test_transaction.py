"""A transaction's beginning, savepoints and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.ids import decode_id
from convexlab.documents.value import Int64
from convexlab.engine.write_set import by_id_index
from convexlab.errors import (
    NotAllowed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction


def get(tx: Transaction, document_id: str) -> Any:
    return tx.get(*decode_id(document_id))


def filled(tx: Transaction, count: int = 5) -> list[str]:
    return [tx.insert("t", {"n": n}) for n in range(count)]


def test_x3_there_and_back_is_no_write(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, {"a": 2})
    tx.patch(document, {"a": 1})
    tx.delete(tx.insert("t", {}))
    assert tx.usage.writes == 4
    assert tx.finish().write_set == []


def test_x3_one_write_leads_from_the_snapshot_to_the_end(
    steps: Any, committer: Committer
):
    document = steps(lambda tx: tx.insert("t", {"a": 1}))
    tx = committer.begin()
    tx.patch(document, {"a": 2})
    tx.patch(document, {"a": 3})
    (write,) = tx.finish().write_set
    assert write.old is not None
    assert write.new is not None
    assert (write.old.document["a"], write.new.document["a"]) == (1, 3)


def test_x5_a_transaction_knows_its_commits_timestamp(steps: Any, committer: Committer):
    told = []
    for _ in range(3):
        tx = committer.begin()
        told.append(tx.commit_ts())
        assert tx.commit_ts() == told[-1]
        tx.insert("t", {"at": Int64(told[-1])})
        assert committer.accept(tx.finish()).ts == told[-1] == committer.ts
    assert told == sorted(set(told))
    steps(filled)
    assert committer.ts > told[-1]


def test_x5_a_promise_that_is_not_kept_is_given_to_nobody_else(
    steps: Any, committer: Committer
):
    given_up = committer.begin().commit_ts()
    steps(filled)
    assert committer.ts > given_up


def test_x4_x5_what_is_created_after_the_promise_is_not_after_the_commit(
    committer: Committer, clock: Any
):
    """Else a clock set back would let later documents be created earlier."""
    tx = committer.begin()
    promised = tx.commit_ts()
    last = tx.insert_many("t", [{}] * 16_000)[-1]
    created = get(tx, last)["_creationTime"]
    committer.accept(tx.finish())
    assert created * 1e6 < promised
    clock.now -= 3_600_000_000_000
    later = committer.begin()
    assert get(later, later.insert("t", {}))["_creationTime"] > created


def test_a_reader_is_promised_nothing(committer: Committer):
    with pytest.raises(NotAllowed):
        committer.begin(writable=False).commit_ts()


def test_at_its_beginning_there_are_no_own_writes(steps: Any, committer: Committer):
    ids = steps(filled)
    tx = committer.begin()
    tx.patch(ids[0], {"n": 100})
    tx.delete(ids[1])
    tx.insert("new", {})
    before = tx.at_its_beginning()
    assert [get(before, document)["n"] for document in ids] == [0, 1, 2, 3, 4]
    assert before.table("new") is None
    assert not tx.read_set.touched_by([(by_id_index(10001), decode_id(ids[3])[1])])
    assert tx.usage.documents_read == 5
    with pytest.raises(NotAllowed):
        before.insert("t", {})


class Broken(Exception):
    """A sub-transaction's end."""


def test_a_savepoint_that_raises_leaves_no_write(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, b, *_ = steps(lambda tx: filled(tx, 2))
    tx = committer.begin()
    tx.patch(a, {"n": 5})
    with pytest.raises(Broken), tx.savepoint():  # noqa: PT012
        tx.patch(a, {"n": 6})
        tx.delete(b)
        tx.insert("t", {"n": 7})
        tx.insert("brand_new", {})
        with tx.savepoint():
            tx.insert("t", {"n": 8})
        raise Broken
    assert [d["n"] for d in fields_in(tx, "t")] == [5, 1]
    assert tx.catalog.table("brand_new") is None
    (write,) = tx.finish().write_set
    assert write.id == decode_id(a)[1]


def test_a_savepoint_that_ends_well_stays(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, *_ = steps(lambda tx: filled(tx, 1))
    tx = committer.begin()
    with tx.savepoint():
        tx.patch(a, {"n": 6})
        with tx.savepoint():
            tx.insert("t", {"n": 7})
            tx.insert("brand_new", {})
    assert [d["n"] for d in fields_in(tx, "t")] == [6, 7]
    committer.accept(tx.finish())
    assert steps.documents("t") == [{"n": 6}, {"n": 7}]
    assert steps.documents("brand_new") == [{}]


def test_r2_reads_of_a_rolled_back_savepoint_stay(steps: Any, committer: Committer):
    a, *_ = steps(lambda tx: filled(tx, 1))
    tx = committer.begin()
    with pytest.raises(Broken), tx.savepoint():  # noqa: PT012
        get(tx, a)
        raise Broken
    table, internal_id = decode_id(a)
    assert tx.finish().read_set.touched_by([(by_id_index(table), internal_id)])
