from __future__ import annotations

import itertools

from hypothesis import given, strategies as st

from convexlab.engine.timestamp import Timestamp, TimestampSource, in_words


@given(st.integers(0, 100), st.lists(st.integers(0, 100), min_size=1))
def test_t1_timestamps_rise_whatever_the_clock_says(last: int, times: list[int]):
    times_left = iter(times)
    source = TimestampSource(Timestamp(last), now_ns=lambda: next(times_left))
    given_out = [last, *(source.next() for _ in times)]
    assert all(a < b for a, b in itertools.pairwise(given_out))


def test_a_timestamp_is_the_time_when_the_clock_goes_forward():
    source = TimestampSource(Timestamp(5), now_ns=lambda: 1000)
    assert source.next() == 1000
    assert source.next() == 1001


def test_people_read_a_timestamp_as_a_time():
    assert in_words(1_700_000_000_123_456_789) == "2023-11-14 22:13:20.123456Z"
    assert in_words(2**70) == f"timestamp {2**70}"
