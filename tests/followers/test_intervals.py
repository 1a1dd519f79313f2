"""Intervals are found by the keys in them, at the cost of what is found."""

from __future__ import annotations

from hypothesis import given, strategies as st
from tests.followers.reading import KEYS

from convexlab.followers.intervals import Intervals

INTERVALS = st.tuples(KEYS, st.none() | KEYS).filter(
    lambda drawn: drawn[1] is None or drawn[0] < drawn[1]
)


def holds(interval, key):
    start, end = interval
    return start <= key and (end is None or key < end)


def filled(intervals):
    """Each interval's value holds the interval itself."""
    found: Intervals[set] = Intervals(set)
    for interval in intervals:
        found.value(*interval).add(interval)
    found.check()
    return found


@given(st.lists(INTERVALS), st.lists(KEYS, max_size=20), st.lists(INTERVALS))
def test_intervals_are_found_by_their_keys(kept, keys, gone):
    intervals = filled([*kept, *gone])
    for interval in set(gone) - set(kept):
        intervals.delete(*interval)
    intervals.check()
    expected = set(kept)
    assert {(start, end) for start, end, _ in intervals.items()} == expected
    assert len(intervals) == len(expected)
    for key in keys:
        at = set().union(*intervals.at(key))
        assert at == {interval for interval in expected if holds(interval, key)}
    having = set().union(*intervals.having(sorted(keys)))
    assert having == {i for i in expected if any(holds(i, key) for key in keys)}


def test_the_cost_is_the_touched_ones():
    """Disjoint ranges: a key visits few nodes, not all of them."""
    prefixes = [number.to_bytes(2) for number in range(4096)]
    intervals = filled([(prefix, prefix + b"\xff") for prefix in prefixes])

    def depth(node):
        return 0 if node is None else 1 + max(depth(node.left), depth(node.right))

    assert depth(intervals._ranges._root) < 60
    (found,) = intervals.at((77).to_bytes(2) + b"x")
    assert found == {((77).to_bytes(2), (77).to_bytes(2) + b"\xff")}
