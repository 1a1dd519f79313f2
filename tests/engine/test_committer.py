from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.engine.audit import audit
from convexlab.engine.backfill import work_slice
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import create_index
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.contract import CallRecord

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence


def test_c1_timestamps_rise_over_restarts_and_clock_steps(persistence: Persistence):
    times = iter([1000, 1001, 500, 501, 3, 4])
    committer = Committer(persistence, now_ns=lambda: next(times))
    given_out = []
    for _ in range(2):
        tx = committer.begin()
        tx.insert("t", {})
        given_out.append(committer.accept(tx.finish()).ts)
    committer.settle_all()
    committer = Committer(persistence, now_ns=lambda: next(times))
    assert committer.ts == given_out[-1]
    tx = committer.begin()
    tx.insert("t", {})
    given_out.append(committer.accept(tx.finish()).ts)
    assert given_out == [1001, 1002, 1003]
    committer.settle_all()


def test_c2_nothing_is_seen_before_its_flush(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert("t", {"n": 1}))
    before = committer.ts
    steps(lambda tx: tx.insert("t", {"n": 2}), settle=False)
    assert committer.durable_ts == before < committer.ts
    group = committer.apply()
    assert group is not None
    with persistence.snapshot() as seen:
        assert seen.meta.last_ts == before
    committer.flush(group)
    with persistence.snapshot() as seen:
        assert seen.meta.last_ts == group.ts
    assert committer.durable_ts == before
    committer.durable(group)
    assert committer.durable_ts == group.ts


def test_c3_a_transaction_given_up_leaves_no_trace(steps: Any, committer: Committer):
    committer.begin().insert("t", {})
    assert committer.settle_all() == []
    assert committer.catalog.table("t") is None


def test_c4_only_what_saw_everything_is_accepted(steps: Any, committer: Committer):
    late, early = committer.begin(), committer.begin()
    early.insert("t", {})
    late.insert("t", {})
    committer.accept(early.finish())
    with pytest.raises(AssertionError, match="C4"):
        committer.accept(late.finish())


def test_each_transaction_sees_the_one_before(steps: Any):
    counter = steps(lambda tx: tx.insert("t", {"n": 0}))

    def increment(tx: Any) -> None:
        tx.patch(counter, {"n": tx.get(*decode_id(counter))["n"] + 1})

    for n in range(20):
        steps(increment, settle=n % 7 == 0)
    assert steps.documents("t") == [{"n": 20}]


def test_a_group_gathers_while_the_one_before_is_flushed(
    steps: Any, committer: Committer
):
    steps(lambda tx: tx.insert("t", {"n": 1}), settle=False)
    first = committer.apply()
    assert first is not None
    flush = threading.Thread(target=committer.flush, args=[first])
    flush.start()
    steps(lambda tx: tx.insert("t", {"n": 2}), settle=False)
    assert steps.documents("t") == [{"n": 1}, {"n": 2}]
    assert committer.apply() is None
    assert (committer.gathered, committer.is_flushing) == (1, True)
    flush.join()
    committer.durable(first)
    second = committer.apply()
    assert second is not None
    assert second.previous_ts == first.ts
    committer.flush(second)
    committer.durable(second)
    assert not committer.is_busy


def test_a_group_that_is_flushed_meanwhile_is_counted_once(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert("t", {"n": 1}))
    for n in (2, 3):
        steps(lambda tx, n=n: tx.insert("t", {"n": n}), settle=False)
    group = committer.apply()
    assert group is not None
    catalog = committer.catalog
    table = catalog.table("t")
    assert table is not None
    index = table.by_creation_time
    in_flight = [key for key, _ in committer.begin().rows(index.id, EVERYTHING)][1:]

    class Late(list[bytes]):
        """Keys; the group is flushed as the first of them is looked at."""

        is_flushed = False

        def _flush(self) -> None:
            if not self.is_flushed:
                committer.flush(group)
            self.is_flushed = True

        def __iter__(self) -> Any:
            self._flush()
            return super().__iter__()

        def __contains__(self, key: object) -> bool:
            self._flush()
            return super().__contains__(key)

    assert persistence.head().count(index.id, but=(late := Late(in_flight))) == 1
    assert late.is_flushed
    assert persistence.head().count(index.id) == 3
    committer.durable(group)
    assert committer.begin().count(index) == 3


def test_what_a_transaction_took_back_can_be_written_in_the_same_group(
    steps: Any, committer: Committer, persistence: Persistence
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))

    def to_and_fro(tx: Any) -> None:
        tx.insert("u", {})
        tx.patch(document, {"n": 2})
        tx.patch(document, {"n": 1})

    steps(to_and_fro, settle=False)
    steps(lambda tx: tx.patch(document, {"n": 1, "m": 1}), settle=False)
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True, settle=False)
    steps(to_and_fro, settle=False)
    while work_slice(committer):
        pass
    steps(lambda tx: tx.patch(document, {"n": 3}))
    assert steps.documents("t", "by_n") == [{"n": 3, "m": 1}]
    audit(persistence)


def test_a_group_names_every_place_it_touched(steps: Any, committer: Committer):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: tx.patch(document, {"n": 2}), settle=False)
    (group,) = committer.settle_all()
    table, internal_id = decode_id(document)
    keys, versions = group.written()
    assert (table << 16, internal_id) in keys
    assert versions == []
    assert len(group) == 1


def test_a_group_shows_the_documents_of_the_tables_that_are_asked_for(
    steps: Any, committer: Committer, monkeypatch: pytest.MonkeyPatch
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    for n in (2, 3):
        steps(lambda tx, n=n: tx.patch(document, {"n": n}), settle=False)
    other = steps(lambda tx: tx.insert("u", {}), settle=False)
    (group,) = committer.settle_all()
    (table, internal_id), (other_table, other_id) = map(decode_id, (document, other))
    keys, (shown,) = group.written({table})
    assert b'"n":1' in (shown.old or b"")
    assert b'"n":3' in (shown.new or b"")
    assert (table << 16, internal_id) in shown.new_keys
    assert {index_id >> 16 for index_id, _ in keys}.isdisjoint({table})
    assert (other_table << 16, other_id) in keys
    monkeypatch.setattr(knobs, "MAX_VERSIONS_BYTES", 100)
    assert group.written({table}) == group.written()


def test_a_call_is_recorded_with_its_outcome(
    steps: Any, committer: Committer, persistence: Persistence
):
    steps(lambda tx: tx.insert("t", {}), call_id="s:1", settle=False)
    record = CallRecord(committer.ts, b"ok")
    assert committer.lookup_call("s:1") == record
    group = committer.apply()
    assert committer.lookup_call("s:1") == record
    assert group is not None
    committer.flush(group)
    committer.durable(group)
    assert committer.lookup_call("s:1") == record
    assert committer.lookup_call("s:2") is None
    with persistence.snapshot() as snapshot:
        assert snapshot.call("s:1") == record


def test_the_gateways_own_calls_are_known_again_after_what_it_has_heard_of(
    steps: Any, committer: Committer, persistence: Persistence, clock: Any
):
    steps(lambda tx: tx.insert("t", {}), call_id="g1")
    heard = committer.ts
    steps(lambda tx: tx.insert("t", {}), call_id="g2")
    steps(lambda tx: tx.insert("t", {}), call_id="g3", settle=False)
    assert committer.lookup_call("g3") == CallRecord(committer.ts, b"ok")
    committer.settle_all()
    assert committer.lookup_call("g3") is None  # it is told, and not asked for again
    another = Committer(persistence, now_ns=clock)
    another.recover(heard)
    assert another.lookup_call("g1") is None
    assert another.lookup_call("g2") is not None
    assert another.lookup_call("g3") == CallRecord(committer.ts, b"ok")


def test_a_call_that_writes_nothing_is_recorded_at_the_same_timestamp(
    steps: Any, committer: Committer
):
    steps(lambda tx: tx.insert("t", {}))
    before = committer.ts
    steps(lambda tx: None, call_id="s:1")
    assert committer.ts == committer.durable_ts == before
    assert committer.lookup_call("s:1") == CallRecord(before, b"ok")


def test_what_only_reads_makes_no_group(steps: Any, committer: Committer):
    steps(lambda tx: tx.insert("t", {}))
    commit = committer.accept(committer.begin().finish())
    assert commit.ts == committer.ts
    assert committer.apply() is None


def test_the_catalog_is_read_again_only_when_it_changed(
    steps: Any, committer: Committer
):
    steps(lambda tx: tx.insert("t", {}))
    catalog = committer.catalog
    assert catalog.ts == committer.ts
    steps(lambda tx: tx.insert("t", {}))
    assert committer.catalog is catalog
    assert committer.snapshot().catalog_ts == catalog.ts < committer.ts
    steps(lambda tx: tx.insert("u", {}))
    assert committer.catalog.ts == committer.ts


def test_a_new_committer_finds_what_the_old_one_left(
    steps: Any, persistence: Persistence, committer: Committer
):
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: tx.insert("_modules", {"path": "m"}), system=True)
    again = Committer(persistence)
    assert (again.ts, again.catalog.ts) == (committer.ts, committer.catalog.ts)
    snapshot = again.snapshot()
    assert snapshot.modules_ts == committer.ts > snapshot.catalog_ts
    assert again.begin().get(*decode_id(document)) is not None
