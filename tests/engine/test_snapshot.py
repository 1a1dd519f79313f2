from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.engine.catalog import load_catalog
from convexlab.engine.definitions import create_index
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.transaction import Transaction
from convexlab.errors import OutOfRetention

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence


def numbers(persistence: Persistence, ts: Timestamp, index: str) -> list[int]:
    with snapshot_at(persistence.snapshot(), ts) as snapshot:
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        table = catalog.table("t")
        if table is None:
            return []
        rows = snapshot.rows(table.index(index).id, EVERYTHING)
        found = [revision.document["n"] for _, revision in rows]
        assert Transaction(snapshot, catalog).count(table.index(index)) == len(found)
        return found


@pytest.mark.parametrize("far", [False, True])
def test_a_snapshot_takes_back_what_came_later(
    steps: Any,
    committer: Committer,
    persistence: Persistence,
    monkeypatch: pytest.MonkeyPatch,
    far: bool,
):
    monkeypatch.setattr(knobs, "UNDO_COMMITS", 1 if far else 100)
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    states = []

    def remember() -> None:
        states.append((committer.ts, [d["n"] for d in steps.documents("t", "by_n")]))

    remember()
    a, b, c = steps(lambda tx: [tx.insert("t", {"n": n}) for n in (1, 2, 3)])
    remember()
    for step in (
        lambda tx: tx.patch(b, {"n": 9}),
        lambda tx: tx.patch(b, {"n": 0}),
        lambda tx: tx.delete(a),
        lambda tx: tx.patch(b, {"other": 1}),
        lambda tx: tx.insert("t", {"n": 5}),
        lambda tx: (tx.patch(c, {"n": 6}), tx.patch(b, {"n": 2})),
    ):
        steps(step)
        remember()
    for ts, expected in states:
        assert numbers(persistence, ts, "by_n") == expected
        assert sorted(numbers(persistence, ts, "by_id")) == expected


def test_a_snapshot_before_a_table_has_no_table(
    steps: Any, committer: Committer, persistence: Persistence
):
    before = steps(lambda tx: tx.insert("other", {})) and committer.ts
    steps(lambda tx: tx.insert("t", {"n": 1}))
    assert numbers(persistence, before, "by_id") == []
    assert numbers(persistence, committer.ts, "by_id") == [1]


def test_the_catalog_of_an_earlier_snapshot_is_not_taken_for_a_newer(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: tx.insert("t", {"n": 2}))
    before = committer.ts
    steps(lambda tx: tx.insert("u", {}))
    with snapshot_at(persistence.snapshot(), before) as snapshot:
        assert snapshot.ts == snapshot.catalog_ts == before
    with newest_snapshot(persistence.snapshot()) as newest:
        assert newest.catalog_ts == committer.ts


def test_what_is_not_reached_or_no_longer_kept_is_refused(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert("t", {"n": 1}))
    with (
        persistence.snapshot() as base,
        pytest.raises(OutOfRetention, match="not reached"),
    ):
        snapshot_at(base, Timestamp(committer.ts + 1))


def test_a_get_goes_through_the_layers(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    place = decode_id(document)
    first = committer.snapshot()
    steps(lambda tx: tx.patch(document, {"n": 2}), settle=False)
    second = committer.snapshot()
    steps(lambda tx: tx.delete(document), settle=False)
    assert committer.snapshot().get(*place) is None
    found = first.get(*place)
    assert found is not None
    assert found.document["n"] == 1
    assert second.ts > first.ts
