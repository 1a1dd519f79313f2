"""Retention: how far back the log, the history and the call records reach.

The log is kept for as long as readers and followers may lag; history for time
travel, by age and by size; records of calls for as long as a client may ask
again. Trimming goes in small slices between groups, so no mutation waits for it.

Invariants
    R1  History reaches at least as far back as the log: what the log says to undo
        can be undone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.persistence.contract import TrimPlan
from convexlab.engine.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Meta

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept, and for how long."""

    log_seconds: int = knobs.PROTOCOL_RETENTION_SECONDS
    history_seconds: int = knobs.HISTORY_RETENTION_SECONDS
    history_bytes: int = knobs.HISTORY_RETENTION_BYTES
    session_seconds: int = knobs.SESSION_RECORD_SECONDS

    def plan(self, meta: Meta, *, now_ns: int) -> TrimPlan:
        """What may go at this moment: R1."""
        # N.B. never the newest entry: `log_from` stays behind `last_ts`.
        newest = meta.last_ts - 1
        log_before = min(newest, now_ns - self.log_seconds * _SECOND)
        history_before = min(log_before, now_ns - self.history_seconds * _SECOND)
        if meta.history_bytes > self.history_bytes:
            history_before = log_before
        calls_before = min(newest, now_ns - self.session_seconds * _SECOND)
        return TrimPlan(
            log_before=Timestamp(log_before),
            history_before=Timestamp(history_before),
            calls_before=Timestamp(calls_before),
            limit=knobs.TRIM_ROWS,
        )


def trim_slice(
    committer: Committer,
    retention: Retention,
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> int:
    """Trim one slice, unless a group is on its way.

    Returns:
        How many rows went; 0: nothing to do, or not now.
    """
    if committer.is_flushing:
        return 0
    meta = committer.persistence.head().meta
    plan = retention.plan(meta, now_ns=now_ns())
    return committer.persistence.trim(plan).total
