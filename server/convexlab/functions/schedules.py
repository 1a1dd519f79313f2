"""Schedules: when something that is done again and again is next due.

All times are UTC, which knows no daylight saving: a day has 24 hours. A month
without the day is passed over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Of the clock's slots that went by so many are counted, 0.5 ms each.
_COUNTED: Final = 100


class Every(msgspec.Struct, frozen=True, tag_field="type", tag="interval"):
    """Every so many seconds, the first time at once."""

    seconds: int


class Hourly(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="hourly",
    rename={"minute": "minuteUTC"},
):
    """Every hour, at a minute; None: anywhere in the hour."""

    minute: int | None = None


class Daily(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="daily",
    rename={"hour": "hourUTC", "minute": "minuteUTC"},
):
    """Every day."""

    hour: int
    minute: int | None = None


class Weekly(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="weekly",
    rename={"day": "dayOfWeek", "hour": "hourUTC", "minute": "minuteUTC"},
):
    """Every week; day 0 is Sunday."""

    day: int
    hour: int
    minute: int | None = None


class Monthly(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="monthly",
    rename={"hour": "hourUTC", "minute": "minuteUTC"},
):
    """Every month that has the day."""

    day: int
    hour: int
    minute: int | None = None


class Expression(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="cron",
    rename={"expression": "cronExpr"},
):
    """Five fields: minute, hour, day of the month, month, day of the week."""

    expression: str


Schedule: TypeAlias = Every | Hourly | Daily | Weekly | Monthly | Expression


def expression_of(schedule: Schedule) -> str:
    """A schedule of the clock as five fields."""
    match schedule:
        case Hourly(minute):
            return f"{minute or 0} * * * *"
        case Daily(hour, minute):
            return f"{minute or 0} {hour} * * *"
        case Weekly(day, hour, minute):
            return f"{minute or 0} {hour} * * {day}"
        case Monthly(day, hour, minute):
            return f"{minute or 0} {hour} {day} * *"
        case Expression(expression):
            return expression
        case Every():
            raise AssertionError("an interval is no schedule of the clock")


def next_ms(schedule: Schedule, after_ms: float, *, splay_seconds: int = 0) -> float:
    """When a schedule is next due, after a moment.

    Args:
        schedule: what is asked.
        after_ms: for an interval its last slot.
        splay_seconds: how much later than the clock says.
    """
    if isinstance(schedule, Every):
        return after_ms + schedule.seconds * 1000.0
    from croniter import croniter

    splay_ms = splay_seconds * 1000.0
    moment = _EPOCH + timedelta(milliseconds=after_ms - splay_ms)
    found: float = croniter(expression_of(schedule), moment).get_next(float)
    return found * 1000.0 + splay_ms


def skipped(
    schedule: Schedule, slot_ms: float, now_ms: float, *, splay_seconds: int = 0
) -> tuple[int, float]:
    """How many slots after one have gone by, and the next that has not.

    Args:
        schedule: what is asked.
        slot_ms: the slot that has been served.
        now_ms: a slot at this moment has gone by too.
        splay_seconds: how much later than the clock says.
    """
    if isinstance(schedule, Every):
        period_ms = schedule.seconds * 1000.0
        count = max(0, int((now_ms - slot_ms) // period_ms))
        return count, slot_ms + (count + 1) * period_ms
    count = 0
    after_ms = next_ms(schedule, slot_ms, splay_seconds=splay_seconds)
    while after_ms <= now_ms and count < _COUNTED:
        count += 1
        after_ms = next_ms(schedule, after_ms, splay_seconds=splay_seconds)
    if after_ms <= now_ms:
        after_ms = next_ms(schedule, now_ms, splay_seconds=splay_seconds)
    return count, after_ms
