"""The read set: every index interval a transaction looked at, found there or not.

A later write touches the reader exactly when the old or the new version of a
written document has a key inside one of these intervals; so what is *not* there
counts as much as what is, and rows beyond the last one consumed do not count.

A point is kept as a key (most reads are points), an interval that was looked at whole
as its two ends, once however often, and a range as a `RangeRead` that grows while its
rows are consumed. A range may be read through a filter: then a
document that it excludes, before a write and after it, does not count. What the
filter says is none of the engine's business.

Invariants
    R1  A range covers from its beginning to the last row consumed, and all of
        it once the rows have run out.
    R2  Nothing is ever taken out: what a rolled back sub-transaction read stays.
    R3  Filters count only while nothing else depends on what they exclude: a limit
        that was met does, and so does a page that tells how much it read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from convexlab.engine.interval import Interval, IntervalSet, fewest
from convexlab.engine.look import Read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.interval import Span
    from convexlab.engine.write_set import IndexKey

    # An index, and the filter through which it was read.
    Source: TypeAlias = tuple[int, bytes | None]


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

    def resumed(self) -> None:
        """There are rows to come after all: what was handed out counts."""
        self._is_exhausted = False

    @property
    def consumed(self) -> Span:
        """What counts as read; an empty span when no row was asked for."""
        start, end = self._interval.start, self._interval.end
        if self._is_exhausted:
            return start, end
        if self._last is None:
            return start, start
        return (self._last, end) if self._reverse else (start, self._last + b"\0")


class ReadSet:
    """What a transaction looked at.

    Attributes:
        count: how many looks were recorded, merged or not: no fewer than `merged`.
    """

    __slots__ = ("_counts_all", "_points", "_ranges", "_whole", "count")

    def __init__(self) -> None:
        self._points: dict[int, set[bytes]] = {}
        self._whole: dict[Source, set[Span]] = {}
        self._ranges: dict[Source, list[RangeRead]] = {}
        self.count = 0
        self._counts_all = False

    def record_point(self, index_id: int, key: bytes) -> None:
        """A look at one key."""
        points = self._points.get(index_id)
        if points is None:
            self._points[index_id] = {key}
            self.count += 1
        elif key not in points:
            points.add(key)
            self.count += 1

    def record(
        self, index_id: int, interval: Interval, where: bytes | None = None
    ) -> None:
        """A look at all of an interval, through a filter if there is one."""
        source, span = (index_id, where), (interval.start, interval.end)
        known = self._whole.get(source)
        if known is None:
            self._whole[source] = {span}
            self.count += 1
        elif span not in known:
            known.add(span)
            self.count += 1

    def open_range(
        self,
        index_id: int,
        interval: Interval,
        *,
        reverse: bool,
        where: bytes | None = None,
    ) -> RangeRead:
        """A look at an interval that begins now and goes as far as its rows do.

        Args:
            index_id: which index.
            interval: which of its keys.
            reverse: from the end.
            where: the filter that decides which documents count.
        """
        read = RangeRead(interval, reverse=reverse)
        self._ranges.setdefault((index_id, where), []).append(read)
        self.count += 1
        return read

    def count_all(self) -> None:
        """From now on what filters exclude counts too: R3."""
        self._counts_all = True

    def merged(self) -> dict[Source, IntervalSet]:
        """The same keys as the fewest intervals, by index and filter."""
        return {
            source: IntervalSet([Interval(*span) for span in spans])
            for source, spans in self._spans().items()
        }

    def _spans(self) -> dict[Source, list[Span]]:
        found: dict[Source, list[Span]] = {
            (index_id, None): [(key, key + b"\0") for key in points]
            for index_id, points in self._points.items()
        }
        for source, spans in self._whole.items():
            found.setdefault(self._counted(source), []).extend(spans)
        for source, reads in self._ranges.items():
            consumed = [read.consumed for read in reads]
            found.setdefault(self._counted(source), []).extend(consumed)
        return found

    def _counted(self, source: Source) -> Source:
        """Whose reads it counts among: R3."""
        return (source[0], None) if self._counts_all else source

    def to_list(self) -> list[Read]:
        """The fewest intervals that cover what was read, by index and filter."""
        return [
            Read(index_id, start, end, where)
            for (index_id, where), spans in sorted(self._spans().items(), key=_order)
            for start, end in fewest(spans)
        ]

    def touched_by(self, keys: Iterable[IndexKey]) -> bool:
        """Whether a write with these old and new keys may change what was read.

        Filters are not asked: there is no document to judge.
        """
        merged = self.merged()
        return any(
            intervals.contains(key)
            for index_id, key in keys
            for (read_id, _), intervals in merged.items()
            if read_id == index_id
        )

    def include(self, other: ReadSet) -> None:
        """Cover what another read set covers."""
        for index_id, start, end, where in other.to_list():
            self.record(index_id, Interval(start, end), where)

    def __bool__(self) -> bool:
        return self.count > 0


def _order(item: tuple[Source, list[Span]]) -> tuple[int, bytes]:
    index_id, where = item[0]
    return index_id, where or b""
