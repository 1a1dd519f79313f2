"""Timestamps: positions in commit order, counted in nanoseconds, that only rise.

A timestamp resembles the time of day so that retention and time travel can be
said in minutes, but it is no clock: `max(now, last + 1)` keeps it rising through
restarts and through clocks that are set back.

Invariants
    T1  Each timestamp is greater than every one given before it, whatever the
        clock says, and greater than the last one that the store remembers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from collections.abc import Callable

Timestamp = NewType("Timestamp", int)

# Before the first commit.
BEGINNING = Timestamp(0)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def in_words(ts: int) -> str:
    """A timestamp for people: the time of day it resembles, to the microsecond."""
    try:
        then = _EPOCH + timedelta(microseconds=ts // 1000)
    except OverflowError:
        return f"timestamp {ts}"
    return then.isoformat(sep=" ", timespec="microseconds").replace("+00:00", "Z")


class TimestampSource:
    """Gives the next timestamp.

    Args:
        last: the newest timestamp that the store knows.
        now_ns: the wall clock.
    """

    def __init__(self, last: Timestamp, *, now_ns: Callable[[], int]) -> None:
        self.last = last
        self._now_ns = now_ns

    def next(self) -> Timestamp:
        """A timestamp after all others: T1."""
        self.last = Timestamp(max(self._now_ns(), self.last + 1))
        return self.last

    def raise_to(self, ts: int) -> None:
        """Every timestamp from now on is after `ts`."""
        self.last = Timestamp(max(self.last, ts))
