"""What a transaction sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.documents.ids import decode_id
from convexlab.engine.definitions import create_index
from convexlab.engine.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction


def get(tx: Transaction, document_id: str) -> Any:
    return tx.get(*decode_id(document_id))


def filled(tx: Transaction, count: int = 5) -> list[str]:
    return [tx.insert("t", {"n": n}) for n in range(count)]


def test_reads_show_own_writes_and_committed_ones(
    steps: Any, committer: Committer, fields_in: Callable[..., Any]
):
    a, b, c, *_ = steps(filled)
    steps(lambda tx: tx.patch(b, {"n": 10}), settle=False)
    tx = committer.begin()
    tx.delete(a)
    tx.insert("t", {"n": 11})
    assert [d["n"] for d in fields_in(tx, "t")] == [10, 2, 3, 4, 11]
    assert [d["n"] for d in fields_in(tx, "t", reverse=True)] == [11, 4, 3, 2, 10]
    assert get(tx, a) is None
    assert get(tx, c)["n"] == 2


def test_a_range_sees_writes_made_ahead_of_it(steps: Any, committer: Committer):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    a, b, *_ = steps(lambda tx: filled(tx, 3))
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    seen = []
    for _, document in tx.range(info.index("by_n")):
        seen.append(document["n"])
        if document["n"] == 0:
            tx.patch(b, {"n": 7})
            tx.patch(a, {"n": 5})
            tx.insert("t", {"n": -1})
    assert seen == [0, 2, 5, 7]


def test_an_empty_interval_has_no_rows(steps: Any, committer: Committer):
    steps(filled)
    tx = committer.begin()
    info = tx.table("t")
    assert info is not None
    assert list(tx.range(info.by_creation_time, Interval(b"b", b"a"))) == []
