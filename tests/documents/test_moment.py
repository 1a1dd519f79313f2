from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from convexlab.documents.moment import time_of, ts_of
from convexlab.errors import InvalidArguments


@pytest.mark.parametrize(
    "when", [datetime(2026, 1, 1), "yesterday", 1.5, True, -1, 1 << 63, None]
)
def test_what_is_no_moment_is_refused(when):
    with pytest.raises(InvalidArguments):
        ts_of(when)


def test_a_time_of_any_zone_is_its_moment():
    utc = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert ts_of(utc) == ts_of(utc.astimezone()) == 1767323045_000006_000
    assert ts_of(7) == 7


def test_a_timedelta_is_back_from_now():
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ts_of(timedelta(days=1), now=now) == ts_of(datetime(2026, 1, 1, tzinfo=UTC))
    assert ts_of(timedelta()) > ts_of(now), "this computer's own"


def test_times_beyond_all_timestamps_are_the_first_and_the_last():
    assert ts_of(datetime(1066, 1, 1, tzinfo=UTC)) == 0
    assert ts_of(datetime(9999, 1, 1, tzinfo=UTC)) == (1 << 63) - 1


@pytest.mark.parametrize("ts", [0, 1, 999, 1000, 1001, 1767323045_000006_001])
def test_the_time_of_a_timestamp_is_not_before_it(ts):
    assert ts <= ts_of(time_of(ts)) < ts + 1000
