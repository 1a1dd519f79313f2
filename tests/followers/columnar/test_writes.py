"""A run of commits as batches of rows: what begins, what ends, what was for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.bodies import to_body
from convexlab.documents.ids import TableNumber, encode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import Revision
from convexlab.followers.columnar import writes
from convexlab.followers.columnar.kinds import ANYTHING, NUMBER, WHOLE
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.writes import applying, inserting
from convexlab.followers.follower import Change

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER_OF_TABLE = 10_001


@pytest.fixture
def table() -> MirrorTable:
    return MirrorTable(NUMBER_OF_TABLE, id_number=NUMBER_OF_TABLE)


def revision(name: str, ts: int, **fields: Any) -> Revision:
    internal_id = name.encode().ljust(16)
    document = {
        **fields,
        "_id": encode_id(TableNumber(NUMBER_OF_TABLE), internal_id),
        "_creationTime": 1.0,
    }
    return Revision(NUMBER_OF_TABLE, internal_id, ts, to_body(document))


def change(name: str, ts: int, previous_ts: int, **fields: Any) -> Change:
    """N.B. no fields: it is deleted."""
    new = revision(name, ts, **fields)
    return Change(
        Timestamp(ts),
        NUMBER_OF_TABLE,
        new.id,
        Timestamp(previous_ts),
        new if fields else None,
        encode_key(1.0) + new.id,
    )


def told(batch: pa.Table | None, *names: str) -> list[tuple[Any, ...]]:
    assert batch is not None
    return [tuple(row[name] for name in names) for row in batch.to_pylist()]


def test_what_is_only_inserted_begins(table: MirrorTable):
    write = applying(table, [change("a", 5, 0, n=1), change("b", 6, 0, n=2)])
    assert told(write.begun, "c0", "_from") == [(1, 5), (2, 6)]
    assert (write.ended, write.passed, write.ts) == (None, None, 6)


def test_what_is_replaced_ends_and_what_was_between_has_passed(table: MirrorTable):
    write = applying(
        table,
        [change("a", 5, 3, n=1), change("a", 6, 5, n=2), change("b", 7, 4)],
    )
    assert told(write.begun, "c0", "_from") == [(2, 6)]
    assert told(write.passed, "c0", "_from", "_to") == [(1, 5, 6)]
    ids = [revision(name, 0).id for name in ("a", "b")]
    assert told(write.ended, "_id", "_creationTime", "_to") == [
        (encode_id(TableNumber(NUMBER_OF_TABLE), each), 1.0, ts)
        for each, ts in zip(ids, (5, 7), strict=True)
    ]


def test_a_later_part_of_a_run_widens_what_came_before(
    table: MirrorTable, monkeypatch: pytest.MonkeyPatch
):
    """They are shredded a few at a time, and are of one table."""
    monkeypatch.setattr(writes, "_AT_A_TIME", 2)
    found = [1, 2, 2.5, None, "x", 3, 4]
    revisions = [revision(f"d{at}", 1, n=n) for at, n in enumerate(found)]
    revisions[-1] = revision("last", 1, n=4, new=True)
    write = inserting(table, revisions, 0)
    assert write.columns["n"].kind == ANYTHING
    assert told(write.begun, "c0", "c1") == [
        ("1.0", None),
        ("2.0", None),
        ("2.5", None),
        (None, None),
        ('"x"', None),
        ("3.0", None),
        ("4.0", True),
    ]
    assert inserting(table, revisions[:2], 0).columns["n"].kind == WHOLE
    assert inserting(table, revisions[:4], 0).columns["n"].kind == NUMBER
    assert write.columns["new"].has_missing
