"""Intervals of index keys: half-open, and sets of them that merge.

An index key is a byte string, so what a read looked at in an index is an
interval of byte strings. A point is the interval that holds one key; a prefix
is the interval of all keys that begin with it. Nothing here knows what the
bytes mean.

Invariants
    I1  `start` belongs to an interval, `end` does not; no end means no bound.
    I2  The intervals of a set are sorted, disjoint and do not touch.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Interval:
    """The keys from `start` up to, but not including, `end`: I1."""

    start: bytes = b""
    end: bytes | None = None

    @staticmethod
    def point(key: bytes) -> Interval:
        """The interval that holds `key` alone."""
        return Interval(key, key + b"\0")

    @staticmethod
    def prefix(prefix: bytes) -> Interval:
        """The interval of every key that begins with `prefix`."""
        return Interval(prefix, after_prefix(prefix))

    def is_empty(self) -> bool:
        """Whether no key can be inside."""
        return self.end is not None and self.end <= self.start

    def contains(self, key: bytes) -> bool:
        """Whether `key` is inside."""
        return self.start <= key and (self.end is None or key < self.end)

    def intersect(self, other: Interval) -> Interval:
        """The keys that are in both."""
        return Interval(max(self.start, other.start), earlier_end(self.end, other.end))

    def overlaps(self, other: Interval) -> bool:
        """Whether some key is in both."""
        return not self.intersect(other).is_empty()


EVERYTHING = Interval()


def after_prefix(prefix: bytes) -> bytes | None:
    """The first key after all keys that begin with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return None
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def earlier_end(one: bytes | None, other: bytes | None) -> bytes | None:
    """The nearer of two ends."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def later_end(one: bytes | None, other: bytes | None) -> bytes | None:
    """The farther of two ends."""
    return None if one is None or other is None else max(one, other)


class IntervalSet:
    """A set of keys, kept as the fewest intervals that cover it."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        for interval in sorted(intervals, key=_by_start):
            self._append(interval)

    def _append(self, interval: Interval) -> None:
        if interval.is_empty():
            return
        if self._ends and _reaches(self._ends[-1], interval.start):
            self._ends[-1] = later_end(self._ends[-1], interval.end)
        else:
            self._starts.append(interval.start)
            self._ends.append(interval.end)

    def add(self, interval: Interval) -> None:
        """Cover `interval` too."""
        merged = IntervalSet([*self, interval])
        self._starts, self._ends = merged._starts, merged._ends

    def contains(self, key: bytes) -> bool:
        """Whether some interval holds `key`."""
        at = bisect_right(self._starts, key) - 1
        if at < 0:
            return False
        end = self._ends[at]
        return end is None or key < end

    def __iter__(self) -> Iterator[Interval]:
        return map(Interval, self._starts, self._ends)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)!r})"

    def check(self) -> None:
        """Assert I2."""
        for start, end in zip(self._starts, self._ends, strict=True):
            assert end is None or start < end, (start, end)
        for end, start in zip(self._ends, self._starts[1:], strict=False):
            assert end is not None, start
            assert end < start, (end, start)


def _by_start(interval: Interval) -> bytes:
    return interval.start


def _reaches(end: bytes | None, start: bytes) -> bool:
    return end is None or start <= end
