from __future__ import annotations

from hypothesis import given, strategies as st

from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.look import Read
from convexlab.engine.read_set import ReadSet

keys = st.binary(max_size=2)
intervals = st.builds(Interval, keys, st.none() | keys)


def test_a_range_read_sees_rows_that_were_absent():
    reads = ReadSet()
    reads.record(7, Interval(b"a", b"c"))
    assert reads.touched_by([(7, b"b")])
    assert not reads.touched_by([(7, b"c"), (8, b"b")])


def test_a_point_read_sees_its_key_only():
    reads = ReadSet()
    reads.record_point(7, b"k")
    assert reads.touched_by([(1, b"x"), (7, b"k")])
    assert not reads.touched_by([(7, b"k\0"), (8, b"k")])


def test_r1_a_range_covers_what_was_consumed():
    reads = ReadSet()
    read = reads.open_range(7, Interval(b"a", b"z"), reverse=False)
    assert not reads.touched_by([(7, b"a")])
    read.reached(b"f")
    assert reads.touched_by([(7, b"a")])
    assert reads.touched_by([(7, b"f")])
    assert not reads.touched_by([(7, b"g")])
    read.exhausted()
    assert reads.touched_by([(7, b"y")])


def test_r1_a_range_read_backwards_covers_its_end():
    reads = ReadSet()
    read = reads.open_range(7, Interval(b"a", None), reverse=True)
    read.reached(b"f")
    assert reads.touched_by([(7, b"\xff")])
    assert reads.touched_by([(7, b"f")])
    assert not reads.touched_by([(7, b"e")])


def test_overlapping_reads_merge():
    reads = ReadSet()
    reads.record_point(7, b"b")
    reads.record(7, Interval(b"a", b"c"))
    reads.record(7, Interval(b"c", b"d"))
    reads.record_point(3, b"x")
    assert reads.to_list() == [Read(3, b"x", b"x\0"), Read(7, b"a", b"d")]
    assert reads.count == 4


def test_the_same_look_counts_once():
    reads = ReadSet()
    for where in (None, b"F", None, b"F"):
        reads.record(7, Interval(b"a", b"c"), where)
        reads.record(7, Interval(b"a", None), where)
    assert reads.count == 4
    whole, filtered = Read(7, b"a", None), Read(7, b"a", None, b"F")
    assert reads.to_list() == [whole, filtered]
    reads.count_all()  # R3
    assert reads.to_list() == [whole]


def test_reads_through_a_filter_merge_among_themselves():
    reads = ReadSet()
    for where in (b"F", None, b"F", b"E"):
        start = b"b" if where == b"E" else b"a"
        reads.open_range(
            7, Interval(start, b"c"), reverse=False, where=where
        ).exhausted()
    reads.open_range(7, Interval(b"c", None), reverse=False, where=b"F").reached(b"d")
    assert reads.to_list() == [
        Read(7, b"a", b"c"),
        Read(7, b"b", b"c", b"E"),
        Read(7, b"a", b"d\0", b"F"),
    ]
    other = ReadSet()
    other.include(reads)
    assert other.to_list() == reads.to_list()
    assert reads.touched_by([(7, b"d")])


def test_r3_filters_stop_counting_when_what_they_exclude_is_told():
    reads = ReadSet()
    reads.open_range(7, Interval(b"a", b"c"), reverse=False, where=b"F").exhausted()
    reads.record(7, Interval(b"c", b"d"))
    reads.count_all()
    assert reads.to_list() == [Read(7, b"a", b"d")]


@given(st.lists(intervals), st.lists(keys), keys)
def test_merged_intervals_touch_what_the_reads_touch(
    ranges: list[Interval], points: list[bytes], key: bytes
):
    reads = ReadSet()
    for interval in ranges:
        reads.record(1, interval)
    for point in points:
        reads.record_point(1, point)
    merged = any(Interval(*read[1:3]).contains(key) for read in reads.to_list())
    assert merged == reads.touched_by([(1, key)])
    assert merged == (key in points or any(i.contains(key) for i in ranges))


def test_a_read_set_can_include_another():
    one, other = ReadSet(), ReadSet()
    assert not one
    other.record(1, EVERYTHING)
    one.include(other)
    assert one
    assert one.to_list() == other.to_list()
