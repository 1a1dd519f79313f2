from __future__ import annotations

from hypothesis import given, strategies as st

from convexlab.engine.interval import EVERYTHING, Interval, IntervalSet, after_prefix

keys = st.binary(max_size=3)
intervals = st.builds(Interval, keys, st.none() | keys)


@given(keys, keys)
def test_a_point_holds_its_key_alone(key: bytes, other: bytes):
    assert Interval.point(key).contains(other) == (key == other)


@given(keys, st.binary(max_size=5))
def test_a_prefix_holds_what_begins_with_it(prefix: bytes, key: bytes):
    assert Interval.prefix(prefix).contains(key) == key.startswith(prefix)


def test_no_key_comes_after_a_prefix_of_ff():
    assert after_prefix(b"\xff\xff") is None
    assert after_prefix(b"a\xff") == b"b"


@given(intervals, intervals, keys)
def test_an_intersection_holds_what_both_hold(a: Interval, b: Interval, key: bytes):
    assert a.intersect(b).contains(key) == (a.contains(key) and b.contains(key))
    assert a.overlaps(b) or not (a.contains(key) and b.contains(key))


@given(st.lists(intervals), keys)
def test_i2_a_set_holds_what_its_intervals_hold(some: list[Interval], key: bytes):
    merged = IntervalSet(some)
    merged.check()
    assert merged.contains(key) == any(one.contains(key) for one in some)
    assert len(merged) <= len(some)


@given(st.lists(intervals))
def test_adding_one_by_one_gives_the_same_set(some: list[Interval]):
    one_by_one = IntervalSet()
    for interval in some:
        one_by_one.add(interval)
    assert one_by_one == IntervalSet(some)


def test_an_interval_without_bounds_holds_everything():
    assert EVERYTHING.contains(b"")
    assert EVERYTHING.contains(b"\xff" * 9)
    assert not EVERYTHING.is_empty()
    assert repr(IntervalSet([EVERYTHING])).startswith("IntervalSet([Interval")
