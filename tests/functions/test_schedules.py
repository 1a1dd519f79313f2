"""When something that is done again and again is next due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from convexlab.functions.schedules import (
    Daily,
    Every,
    Expression,
    Hourly,
    Monthly,
    Schedule,
    Weekly,
    next_ms,
    skipped,
)

HOUR_MS = 3_600_000.0


def ms(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp() * 1000  # type: ignore[misc, arg-type]  # year, month, …


def slots(schedule: Schedule, after_ms: float, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        after_ms = next_ms(schedule, after_ms)
        found.append(datetime.fromtimestamp(after_ms / 1000, UTC))
    return found


def shown(schedule: Schedule, after_ms: float, count: int) -> list[str]:
    return [f"{slot:%m-%d %H:%M}" for slot in slots(schedule, after_ms, count)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Every(90), ["01-30 23:51", "01-30 23:53", "01-30 23:54"]),
        (Hourly(5), ["01-31 00:05", "01-31 01:05", "01-31 02:05"]),
        (Hourly(), ["01-31 00:00", "01-31 01:00", "01-31 02:00"]),
        (Daily(9, 30), ["01-31 09:30", "02-01 09:30", "02-02 09:30"]),
        (Weekly(1, 9, 0), ["02-02 09:00", "02-09 09:00", "02-16 09:00"]),
        (Weekly(0, 0), ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
        (Monthly(1, 0, 0), ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
        (Expression("*/20 6 * * 1-5"), ["02-02 06:00", "02-02 06:20", "02-02 06:40"]),
    ],
)
def test_each_schedule_comes_when_it_says(schedule: Schedule, expected: list[str]):
    assert shown(schedule, ms(2026, 1, 30, 23, 50), 3) == expected


def test_months_without_the_day_are_passed_over():
    """The ends of months, in a leap year."""
    after = ms(2028, 1, 30)
    assert shown(Monthly(31, 9, 0), after, 4) == [
        "01-31 09:00",
        "03-31 09:00",
        "05-31 09:00",
        "07-31 09:00",
    ]
    assert shown(Monthly(29, 9, 0), after, 2) == ["02-29 09:00", "03-29 09:00"]
    assert shown(Monthly(30, 9, 0), after, 2) == ["01-30 09:00", "03-30 09:00"]
    assert shown(Monthly(29, 9, 0), ms(2026, 1, 30), 1) == ["03-29 09:00"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
@pytest.mark.parametrize("night", [(2026, 3, 7), (2026, 3, 28), (2026, 10, 24)])
def test_nothing_happens_when_clocks_are_changed(
    monkeypatch: pytest.MonkeyPatch, zone: str, night: tuple[int, int, int]
):
    """Whatever the machine's own zone: days have 24 hours, hours come once each."""
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        days = slots(Daily(2, 30), ms(*night), 4)
        hours = slots(Hourly(30), ms(*night), 72)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert {b - a for a, b in pairwise(days)} == {timedelta(days=1)}
    assert {b - a for a, b in pairwise(hours)} == {timedelta(hours=1)}
    assert (days[0].hour, days[0].minute) == (2, 30)


def test_a_splay_is_added_to_the_clocks_slots():
    after = ms(2026, 1, 1, 9, 0)
    daily = Daily(9, 0)
    assert next_ms(daily, after, splay_seconds=17) == after + 17_000
    assert (
        next_ms(daily, after + 17_000, splay_seconds=17)
        == after + 17_000 + 24 * HOUR_MS
    )
    assert next_ms(Every(60), after, splay_seconds=17) == after + 60_000


@given(
    period=st.integers(1, 10**6),
    slot=st.integers(0, 10**12),
    late=st.integers(0, 10**9),
)
def test_an_interval_keeps_its_beat_however_late_a_run_ends(
    period: int, slot: int, late: int
):
    count, following = skipped(Every(period), float(slot), float(slot + late))
    assert (following - slot) % (period * 1000) == 0
    assert slot + late < following <= slot + late + period * 1000
    assert count == (following - slot) / (period * 1000) - 1


def test_the_clocks_slots_that_went_by_are_counted():
    slot = ms(2026, 1, 1, 9, 0)
    assert skipped(Hourly(0), slot, slot) == (0, slot + HOUR_MS)
    assert skipped(Hourly(0), slot, slot + 3.5 * HOUR_MS) == (3, slot + 4 * HOUR_MS)
    assert skipped(Hourly(0), slot, slot + HOUR_MS) == (1, slot + 2 * HOUR_MS)


def test_after_a_long_sleep_the_next_slot_is_in_the_future():
    slot = ms(2026, 1, 1)
    count, following = skipped(Expression("* * * * *"), slot, ms(2027, 1, 1))
    assert following == ms(2027, 1, 1) + 60_000
    assert count > 50
