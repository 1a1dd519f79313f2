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
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

# The two ends of an interval, where there are many of them.
Span: TypeAlias = tuple[bytes, bytes | None]


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


def fewest(spans: Collection[Span]) -> Collection[Span]:
    """The fewest spans that cover these keys: I2."""
    if len(spans) == 1:
        return [span for span in spans if span[1] is None or span[0] < span[1]]
    merged: list[Span] = []
    for start, end in sorted(spans, key=_start):
        if end is not None and end <= start:
            continue
        if merged and ((last := merged[-1])[1] is None or start <= last[1]):
            merged[-1] = last[0], later_end(last[1], end)
        else:
            merged.append((start, end))
    return merged


def _start(span: Span) -> bytes:
    return span[0]


class IntervalSet:
    """A set of keys, kept as the fewest intervals that cover it."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        spans = fewest([(interval.start, interval.end) for interval in intervals])
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

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
