"""What every store must do; each test runs on each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.interval import Interval
from convexlab.engine.persistence.contract import (
    CallRecord,
    Commit,
    TrimPlan,
    is_session_call,
)
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.engine.write_set import DocumentWrite, Revision
from convexlab.errors import OutOfRetention

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence, PersistenceSnapshot

TABLE = 10001
BY_ID, BY_TIME, BY_X = (TABLE << 16 | slot for slot in range(3))


def place(name: str, x: bytes) -> tuple[tuple[int, bytes], ...]:
    internal_id = name.encode().ljust(16, b"-")
    return (BY_ID, internal_id), (BY_TIME, internal_id), (BY_X, x + internal_id)


class Document:
    """A document on its way through revisions."""

    def __init__(self, name: str) -> None:
        self.id = name.encode().ljust(16, b"-")
        self.name = name
        self.revision: Revision | None = None
        self.keys: Any = ()

    def to(self, x: bytes | None, ts: int) -> DocumentWrite:
        """The write to a new value of x; None deletes."""
        old, old_keys = self.revision, self.keys
        self.revision = self.keys = None
        if x is not None:
            body = b'{"x":"%b"}' % x
            self.revision = Revision(TABLE, self.id, ts, body)
        self.keys = () if x is None else place(self.name, x)
        return DocumentWrite(TABLE, self.id, old, self.revision, old_keys, self.keys)


def commit(store: Persistence, *writes: DocumentWrite, ts: int, **kwargs: Any) -> None:
    store.apply([Commit(Timestamp(ts), list(writes), **kwargs)])
    store.flush()
    store.settled()


def found(
    snapshot: PersistenceSnapshot,
    start: bytes = b"",
    end: bytes | None = None,
    *,
    reverse: bool = False,
    limit: int = 99,
    ts: int | None = None,
) -> list[bytes]:
    if ts is None:
        rows = snapshot.range(BY_X, start, end, reverse=reverse, limit=limit)
    else:
        rows = snapshot.range_at(
            BY_X, start, end, ts=Timestamp(ts), reverse=reverse, limit=limit
        )
    return [key[:1] for key, revision in rows if key[1:] == revision.id]


def test_an_empty_store_is_at_the_beginning(persistence: Persistence):
    with persistence.snapshot() as snapshot:
        assert snapshot.meta.last_ts == BEGINNING
        assert snapshot.get(TABLE, b"x" * 16) is None
        assert found(snapshot) == []
        assert snapshot.log_after(BEGINNING) == []
        assert snapshot.call("x") is None


def test_ranges_go_both_ways_and_stop_at_their_limit(persistence: Persistence):
    documents = [Document(name) for name in "pqrs"]
    writes = [
        d.to(x, 5) for d, x in zip(documents, (b"c", b"a", b"d", b"b"), strict=True)
    ]
    commit(persistence, *writes, ts=5)
    with persistence.snapshot() as snapshot:
        assert found(snapshot) == [b"a", b"b", b"c", b"d"]
        assert found(snapshot, b"b", b"d") == [b"b", b"c"]
        assert found(snapshot, b"b", reverse=True) == [b"d", b"c", b"b"]
        assert found(snapshot, b"", b"c", reverse=True, limit=1) == [b"b"]
        assert found(snapshot, limit=3) == [b"a", b"b", b"c"]
        assert snapshot.count(BY_X) == 4
        assert snapshot.count(BY_X, Interval(b"b")) == 3
        assert snapshot.count(BY_X, Interval(b"b", b"d")) == 2
        assert snapshot.count(BY_X, most=3) == 3
        assert snapshot.count(BY_X, Interval(b"b", b"d"), most=3) == 2


def test_many_are_found_as_each_is(persistence: Persistence):
    documents = [Document(f"d{number}") for number in range(70)]
    commit(persistence, *[each.to(b"x", 5) for each in documents[:40]], ts=5)
    commit(persistence, *[each.to(b"y", 6) for each in documents[30:69]], ts=6)
    ids = [each.id for each in documents]
    with persistence.snapshot() as snapshot:
        one_by_one = {id_: repr(snapshot.get(TABLE, id_)) for id_ in ids}
        assert one_by_one.pop(ids[-1]) == "None"
        many = snapshot.get_many(TABLE, ids)
        assert {id_: repr(each) for id_, each in many.items()} == one_by_one
        assert snapshot.get_many(TABLE, []) == {}
        bodies = snapshot.bodies_of(TABLE, ids)
        assert bodies == {id_: each.body for id_, each in many.items()}
        assert snapshot.bodies_of(TABLE, [*ids[:2], ids[0]]) == {
            id_: bodies[id_] for id_ in ids[:2]
        }
        assert snapshot.bodies_of(TABLE, []) == {}


def test_p1_a_group_is_unseen_until_it_is_flushed(persistence: Persistence):
    a, b = Document("a"), Document("b")
    writes = [a.to(b"x", 5)], [a.to(b"y", 6), b.to(b"z", 6)]
    persistence.apply([Commit(Timestamp(5 + n), w) for n, w in enumerate(writes)])
    with persistence.snapshot() as before:
        assert found(before) == []
        persistence.flush()
        assert found(before) == []
    persistence.settled()
    with persistence.snapshot() as after:
        assert found(after) == [b"y", b"z"]
        assert after.meta.last_ts == 6


def test_p3_history_answers_as_of_each_timestamp(persistence: Persistence):
    a, b = Document("a"), Document("b")
    steps = {
        10: [a.to(b"m", 10)],
        20: [b.to(b"n", 20), a.to(b"o", 20)],
        30: [a.to(b"o", 30)],
        40: [a.to(b"m", 40), b.to(None, 40)],
        50: [a.to(None, 50)],
    }
    for ts, writes in steps.items():
        commit(persistence, *writes, ts=ts)
    expected = {
        5: [],
        10: [b"m"],
        15: [b"m"],
        20: [b"n", b"o"],
        35: [b"n", b"o"],
        40: [b"m"],
        49: [b"m"],
        50: [],
    }
    with persistence.snapshot() as snapshot:
        for ts, keys in expected.items():
            assert found(snapshot, ts=ts) == keys
            assert found(snapshot, ts=ts, reverse=True) == keys[::-1]
            assert found(snapshot, ts=ts, limit=1) == keys[:1]
            assert found(snapshot, b"n", b"o", ts=ts) == [k for k in keys if k == b"n"]
        revisions = snapshot.revisions(TABLE, a.id)
        assert [(r.ts, end) for r, end in revisions] == [
            (10, 20),
            (20, 30),
            (30, 40),
            (40, 50),
        ]
        at_25 = snapshot.get_at(TABLE, a.id, Timestamp(25))
        assert at_25 is not None
        assert at_25.ts == 20
        assert snapshot.get_at(TABLE, a.id, Timestamp(9)) is None
        assert snapshot.get_at(TABLE, a.id, Timestamp(50)) is None


def test_several_commits_of_a_group_each_leave_history(persistence: Persistence):
    a = Document("a")
    writes = [a.to(b"m", 1), a.to(b"n", 2), a.to(None, 3)]
    b = Document("a")
    writes.append(b.to(b"o", 4))
    persistence.apply([Commit(Timestamp(n), [w]) for n, w in enumerate(writes, 1)])
    persistence.flush()
    persistence.settled()
    with persistence.snapshot() as snapshot:
        seen = {ts: found(snapshot, ts=ts) for ts in range(5)}
    assert seen == {0: [], 1: [b"m"], 2: [b"n"], 3: [], 4: [b"o"]}
    persistence.check()


def test_a_table_may_keep_no_history(persistence: Persistence):
    a = Document("a")
    commit(persistence, a.to(b"m", 1), ts=1)
    write = a.to(b"n", 2)
    write.keep_history = False
    commit(persistence, write, ts=2)
    with persistence.snapshot() as snapshot:
        assert len(snapshot.revisions(TABLE, a.id)) == 1
        assert snapshot.meta.history_bytes == 0


def test_p4_the_log_reads_on_from_anywhere(persistence: Persistence):
    a = Document("a")
    for ts in (10, 20, 30):
        commit(persistence, a.to(b"%d" % ts, ts), ts=ts)
    with persistence.snapshot() as snapshot:
        entries = snapshot.log_after(Timestamp(10))
        assert [entry.ts for entry in entries] == [20, 30]
        assert [w.previous_ts for e in entries for w in e.writes] == [10, 20]
        assert [e.ts for e in snapshot.log_after(BEGINNING, limit=1)] == [10]


def test_meta_says_what_changed_when(persistence: Persistence):
    a = Document("a")
    commit(persistence, a.to(b"1", 10), ts=10, changes_catalog=True)
    commit(persistence, a.to(b"2", 20), ts=20, changes_modules=True)
    commit(persistence, a.to(b"3", 30), ts=30)
    with persistence.snapshot() as snapshot:
        meta = snapshot.meta
    assert (meta.last_ts, meta.catalog_ts, meta.modules_ts) == (30, 10, 20)
    assert persistence.head().meta == meta


def test_calls_are_kept_with_their_outcome(persistence: Persistence):
    commit(persistence, ts=0, call_id="s:1", outcome=b"x")
    with persistence.snapshot() as snapshot:
        assert snapshot.call("s:1") == CallRecord(BEGINNING, b"x")
        assert snapshot.meta.last_ts == 0
    assert is_session_call("s:1")
    assert not is_session_call("g1")


def test_the_gateways_own_calls_are_in_the_log(persistence: Persistence):
    a = Document("a")
    for ts in (10, 20, 30):
        commit(persistence, a.to(b"x", ts), ts=ts, call_id=f"g{ts}", outcome=b"o")
    commit(persistence, a.to(b"y", 40), ts=40, call_id="s:1", outcome=b"s")
    with persistence.snapshot() as snapshot:
        assert snapshot.calls_after(Timestamp(10)) == {
            "g20": CallRecord(Timestamp(20), b"o"),
            "g30": CallRecord(Timestamp(30), b"o"),
        }
        assert snapshot.call("g30") is None
    persistence.trim(TrimPlan(Timestamp(20), BEGINNING, BEGINNING, limit=10))
    with persistence.snapshot() as snapshot:
        assert snapshot.calls_after(Timestamp(20)).keys() == {"g30"}
        with pytest.raises(OutOfRetention):
            snapshot.calls_after(Timestamp(10))


def test_entries_can_be_added_and_swept(persistence: Persistence):
    a = Document("a")
    write = a.to(b"m", 1)
    commit(persistence, write, ts=1)
    assert a.revision is not None
    other = TABLE << 16 | 3
    entry = ((other, b"key" + a.id), a.revision)
    commit(persistence, ts=1, added_entries=[entry])
    with persistence.snapshot() as snapshot:
        rows = snapshot.range(other, b"", None, reverse=False, limit=9)
        assert [key for key, _ in rows] == [b"key" + a.id]
    assert persistence.sweep_entries(other, limit=5) == 1
    assert persistence.sweep_entries(other, limit=5) == 0


def test_trimming_moves_the_horizons(persistence: Persistence):
    a = Document("a")
    for ts in (10, 20, 30, 40):
        commit(persistence, a.to(b"%d" % ts, ts), ts=ts, call_id=f"s:{ts}")
    plan = TrimPlan(Timestamp(20), Timestamp(20), Timestamp(20), limit=10)
    trimmed = persistence.trim(plan)
    assert (trimmed.log, trimmed.history, trimmed.calls) == (2, 1, 2)
    with persistence.snapshot() as snapshot:
        assert (snapshot.meta.log_from, snapshot.meta.history_from) == (20, 20)
        assert [e.ts for e in snapshot.log_after(Timestamp(20))] == [30, 40]
        with pytest.raises(OutOfRetention):
            snapshot.log_after(Timestamp(19))
        at_25 = snapshot.get_at(TABLE, a.id, Timestamp(25))
        assert at_25 is not None
        assert at_25.ts == 20
    assert persistence.trim(plan).total == 0
    persistence.check()
