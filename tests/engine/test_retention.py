from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.engine.audit import audit
from convexlab.engine.retention import Retention, trim_slice
from convexlab.engine.snapshot import snapshot_at
from convexlab.engine.timestamp import BEGINNING
from convexlab.errors import OutOfRetention

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence

NOTHING = Retention(
    log_seconds=0, history_seconds=0, history_bytes=0, session_seconds=0
)


def written(steps: Any, count: int = 12) -> None:
    document = steps(lambda tx: tx.insert("t", {"n": 0}), call_id="s:0")
    for n in range(1, count):
        steps(lambda tx, n=n: tx.patch(document, {"n": n}), call_id=f"g:{n}")


def trimmed(committer: Committer, retention: Retention, now: Callable[[], int]) -> int:
    total = 0
    while rows := trim_slice(committer, retention, now_ns=now):
        total += rows
    return total


def test_nothing_young_is_trimmed(steps: Any, committer: Committer, clock: Any):
    written(steps)
    assert trim_slice(committer, Retention(), now_ns=clock) == 0


def test_what_is_past_retention_goes(
    steps: Any, committer: Committer, persistence: Persistence, clock: Any
):
    written(steps)
    ts = committer.ts
    assert trimmed(committer, NOTHING, clock) > 20
    with persistence.snapshot() as snapshot:
        meta = snapshot.meta
        assert meta.history_from <= meta.log_from < meta.last_ts == ts
        with pytest.raises(OutOfRetention):
            snapshot.log_after(BEGINNING)
        with pytest.raises(OutOfRetention, match="the oldest that is kept is of 2023-"):
            snapshot_at(snapshot, BEGINNING)
        assert len(snapshot.log_after(meta.log_from)) == 1
    assert committer.lookup_call("s:0") is None
    assert steps.documents("t") == [{"n": 11}]
    audit(persistence)


def test_r1_history_reaches_as_far_as_the_log(
    steps: Any, committer: Committer, persistence: Persistence, clock: Any
):
    written(steps)
    trimmed(committer, NOTHING, clock)
    with persistence.snapshot() as base:
        log_from = base.meta.log_from
        with snapshot_at(base, log_from) as snapshot:
            table = committer.catalog.tables["t"]
            (row,) = snapshot.chunk(
                table.by_id.id, b"", None, reverse=False, limit=9
            ).rows
            assert row[1].document["n"] == 10


def test_sessions_calls_outlive_the_log(
    steps: Any, committer: Committer, persistence: Persistence, clock: Any
):
    written(steps)
    trimmed(committer, Retention(log_seconds=0), clock)
    assert committer.lookup_call("s:0") is not None
    with pytest.raises(OutOfRetention):
        persistence.head().calls_after(BEGINNING)


def test_history_over_its_size_goes_early(
    steps: Any, committer: Committer, persistence: Persistence, clock: Any
):
    written(steps)
    with persistence.snapshot() as snapshot:
        assert snapshot.meta.history_bytes > 0
    trimmed(committer, Retention(log_seconds=0, history_bytes=0), clock)
    with persistence.snapshot() as snapshot:
        assert snapshot.meta.history_bytes < 200


def test_trimming_goes_in_slices_between_groups(
    steps: Any, committer: Committer, monkeypatch: pytest.MonkeyPatch, clock: Any
):
    written(steps)
    monkeypatch.setattr(knobs, "TRIM_ROWS", 2)
    assert trim_slice(committer, NOTHING, now_ns=clock) == 2 + 2 + 1
    steps(lambda tx: tx.insert("t", {}), settle=False)
    group = committer.apply()
    assert trim_slice(committer, NOTHING, now_ns=clock) == 0
    assert group is not None
    committer.flush(group)
    committer.durable(group)
    assert trim_slice(committer, NOTHING, now_ns=clock) > 0
