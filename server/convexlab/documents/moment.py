"""Moments: how users say when, and which timestamp that is.

A moment is a time of day with its zone, a timedelta back from now, or a timestamp
such as a live result's `ts`, which is exact to the commit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from convexlab.errors import InvalidArguments

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_TS: Final = (1 << 63) - 1


def ts_of(when: Any, *, now: datetime | None = None) -> int:
    """The timestamp that is meant.

    Args:
        when: an aware datetime, a timedelta back from now, or a timestamp.
        now: what time it is; this computer's unless said.

    Raises:
        InvalidArguments: it is none of these.
    """
    if isinstance(when, timedelta):
        return ts_of((datetime.now(UTC) if now is None else now) - when)
    if isinstance(when, datetime):
        return _ts_of_time(when)
    if isinstance(when, int) and not isinstance(when, bool) and 0 <= when <= _LAST_TS:
        return when
    raise InvalidArguments(
        "A moment is an aware datetime, a timedelta back from now, or a live "
        f"result's .ts, not {when!r}."
    )


def _ts_of_time(when: datetime) -> int:
    if when.tzinfo is None:
        raise InvalidArguments(
            f"{when!r} names no time zone, so it could be several moments: "
            "add one, for instance .astimezone() for this computer's own."
        )
    nanoseconds = (when - EPOCH) // timedelta(microseconds=1) * 1000
    return min(max(nanoseconds, 0), _LAST_TS)


def time_of(ts: int) -> datetime:
    """A timestamp as a UTC time, rounded up, so that it has the change at `ts`."""
    return EPOCH + timedelta(microseconds=-(-ts // 1000))
