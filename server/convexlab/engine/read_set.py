"""The read set: every index interval a transaction looked at, found there or not.

A later write touches the reader exactly when the old or the new version of a
written document has a key inside one of these intervals; so what is *not* there
counts as much as what is, and rows beyond the last one consumed do not count.

A point is kept as a key (most reads are points), a range as a `RangeRead` that
grows while its rows are consumed.

Invariants
    R1  A range covers from its beginning to the last row consumed, and all of
        it once the rows have run out.
    R2  Nothing is ever taken out: what a rolled back sub-transaction read stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convexlab.engine.interval import Interval, IntervalSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convexlab.engine.write_set import IndexKey


class Read(NamedTuple):
    """An interval of index keys that was looked at: from `start` up to before `end`.

    With a `where` (an expression's bytes), only documents that pass it count.
    """

    index_id: int
    start: bytes
    end: bytes | None
    where: bytes | None = None


class RangeRead:
    """One range read on its way: what of the interval has been consumed."""

    __slots__ = ("_interval", "_is_exhausted", "_last", "_reverse")

    def __init__(self, interval: Interval, *, reverse: bool = False) -> None:
        self._interval = interval
        self._reverse = reverse
        self._last: bytes | None = None
        self._is_exhausted = False

    def reached(self, key: bytes) -> None:
        """The rows up to this one were handed out: R1."""
        self._last = key

    def exhausted(self) -> None:
        """There are no more rows: the whole interval counts, R1."""
        self._is_exhausted = True

    @property
    def consumed(self) -> Interval | None:
        """What counts as read; None when no row was asked for."""
        if self._is_exhausted:
            return self._interval
        if self._last is None:
            return None
        if self._reverse:
            return Interval(self._last, self._interval.end)
        return Interval(self._interval.start, self._last + b"\0")


class ReadSet:
    """What a transaction looked at."""

    __slots__ = ("_count", "_points", "_ranges")

    def __init__(self) -> None:
        self._points: dict[int, set[bytes]] = {}
        self._ranges: dict[int, list[RangeRead]] = {}
        self._count = 0

    def record_point(self, index_id: int, key: bytes) -> None:
        """A look at one key."""
        points = self._points.get(index_id)
        if points is None:
            self._points[index_id] = {key}
            self._count += 1
        elif key not in points:
            points.add(key)
            self._count += 1

    def record(self, index_id: int, interval: Interval) -> None:
        """A look at all of an interval."""
        self.open_range(index_id, interval, reverse=False).exhausted()

    def open_range(
        self, index_id: int, interval: Interval, *, reverse: bool
    ) -> RangeRead:
        """A look at an interval that begins now and goes as far as its rows do."""
        read = RangeRead(interval, reverse=reverse)
        self._ranges.setdefault(index_id, []).append(read)
        self._count += 1
        return read

    @property
    def count(self) -> int:
        """How many looks were recorded, merged or not: no fewer than `merged`."""
        return self._count

    def merged(self) -> dict[int, IntervalSet]:
        """The same keys as the fewest intervals, by index."""
        return {
            index_id: IntervalSet(self._intervals(index_id))
            for index_id in self._points.keys() | self._ranges.keys()
        }

    def _intervals(self, index_id: int) -> Iterator[Interval]:
        yield from map(Interval.point, self._points.get(index_id, ()))
        for read in self._ranges.get(index_id, ()):
            if read.consumed is not None:
                yield read.consumed

    def items(self) -> Iterator[tuple[int, Interval]]:
        """Every (index, interval), the fewest that cover what was read."""
        for index_id, intervals in sorted(self.merged().items()):
            for interval in intervals:
                yield index_id, interval

    def to_list(self) -> list[tuple[int, bytes, bytes | None]]:
        """`items` as plain tuples, to cross a process boundary."""
        return [(i, interval.start, interval.end) for i, interval in self.items()]

    def touched_by(self, keys: Iterable[IndexKey]) -> bool:
        """Whether a write with these old and new keys could change what was read."""
        return any(self._holds(index_id, key) for index_id, key in keys)

    def _holds(self, index_id: int, key: bytes) -> bool:
        return key in self._points.get(index_id, ()) or any(
            read.consumed is not None and read.consumed.contains(key)
            for read in self._ranges.get(index_id, ())
        )

    def include(self, other: ReadSet) -> None:
        """Cover what another read set covers."""
        for index_id, interval in other.items():
            self.record(index_id, interval)

    def __bool__(self) -> bool:
        return self._count > 0
