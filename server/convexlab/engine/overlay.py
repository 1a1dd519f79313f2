"""The overlay: what differs from a base, laid over its points and its ranges.

One mechanism serves four times: a transaction's own writes over what was there,
the groups that are not durable yet over the store, a savepoint over both, and the
undoing of what a snapshot saw too much. An overlay says for places in an index
what is there (a revision) or that nothing is (None); places it does not mention
are the base's.

    base rows      a     c  d        g
    older layer       b     ✗
    newer layer       b'          f
    merged         a  b' c        f  g

Invariants
    O1  An overlay's entries are absolute: laid over a base that already has some
        or all of them, it gives the same rows.
    O2  A newer layer wins over an older one, and every layer over the base.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from convexlab.engine.interval import Interval
    from convexlab.engine.write_set import DocumentWrite, IndexKeys, Revision

Row: TypeAlias = "tuple[bytes, Revision]"
# A key and the stored text of the document there: all that a reader needs of a row.
Body: TypeAlias = tuple[bytes, bytes]

AnyRow = TypeVar("AnyRow", bound="tuple[bytes, Any]")

# Up to this many new keys are put in their places one by one; more are sorted in.
INSERTED_ONE_BY_ONE = 16


class KeyMap:
    """A sorted map from keys to revisions or to nothing; sorted when asked."""

    __slots__ = ("_fresh", "_sorted", "entries")

    def __init__(self) -> None:
        self.entries: dict[bytes, Revision | None] = {}
        self._sorted: list[bytes] = []
        self._fresh: list[bytes] = []  # keys not yet in _sorted

    def put(self, key: bytes, revision: Revision | None) -> None:
        """What is at `key` from now on."""
        if key not in self.entries:
            self._fresh.append(key)
        self.entries[key] = revision

    def update(self, other: KeyMap) -> None:
        """Take over all entries of a newer map."""
        entries = self.entries
        self._fresh.extend([key for key in other.entries if key not in entries])
        entries.update(other.entries)

    def discard(self, key: bytes) -> None:
        """Say nothing about `key`."""
        if key in self.entries:
            keys = self.sorted_keys()
            del keys[bisect_left(keys, key)]
            del self.entries[key]

    def sorted_keys(self) -> list[bytes]:
        """All keys in order."""
        if self._fresh:
            if len(self._fresh) <= INSERTED_ONE_BY_ONE:
                for key in self._fresh:
                    insort(self._sorted, key)
            else:
                self._sorted.extend(self._fresh)
                self._sorted.sort()
            self._fresh.clear()
        return self._sorted

    def slice(
        self, start: bytes, end: bytes | None, *, reverse: bool, limit: int
    ) -> list[bytes]:
        """Up to `limit` keys of an interval, in order; from its end if `reverse`."""
        keys = self.sorted_keys()
        low = bisect_left(keys, start)
        high = len(keys) if end is None else bisect_left(keys, end)
        if reverse:
            return keys[max(low, high - limit) : high][::-1]
        return keys[low : min(high, low + limit)]

    def within(self, interval: Interval) -> Iterator[tuple[bytes, Revision | None]]:
        """The entries of an interval, in order."""
        keys = self.slice(
            interval.start, interval.end, reverse=False, limit=len(self.entries)
        )
        return ((key, self.entries[key]) for key in keys)


class Overlay:
    """Entries of many indexes."""

    __slots__ = ("maps",)

    def __init__(self) -> None:
        self.maps: dict[int, KeyMap] = {}

    def put(self, index_id: int, key: bytes, revision: Revision | None) -> None:
        """What is at a place from now on."""
        keys = self.maps.get(index_id)
        if keys is None:
            keys = self.maps[index_id] = KeyMap()
        keys.put(key, revision)

    def move(
        self, old_keys: IndexKeys, new_keys: IndexKeys, revision: Revision | None
    ) -> None:
        """A document leaves its old places and takes its new ones."""
        maps = self.maps
        if old_keys != new_keys:
            for index_id, key in old_keys:
                self.put(index_id, key, None)
        for index_id, key in new_keys:
            keys = maps.get(index_id)
            if keys is None:
                keys = maps[index_id] = KeyMap()
            entries = keys.entries
            if key not in entries:
                keys._fresh.append(key)  # noqa: SLF001 - KeyMap.put, unrolled: bulk inserts
            entries[key] = revision

    def add(self, writes: Sequence[DocumentWrite]) -> None:
        """Lay a write set over."""
        for write in writes:
            self.move(write.old_keys, write.new_keys, write.new)

    def update(self, newer: Overlay) -> None:
        """Take over all entries of a newer overlay."""
        for index_id, keys in newer.maps.items():
            mine = self.maps.get(index_id)
            if mine is None:
                mine = self.maps[index_id] = KeyMap()
            mine.update(keys)

    def __bool__(self) -> bool:
        return bool(self.maps)


class RangeReader(Protocol):
    """Whatever has sorted rows to lay overlays over."""

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """Up to `limit` rows of an interval; fewer only when there are no more."""

    def bodies(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Body]:
        """The keys and texts of `range`."""


class PacedReader(RangeReader, Protocol):
    """One that knows how many rows are worth reading at once."""

    def at_once(self, limit: int) -> int:
        """How many, if it were `limit` for others; never more."""


class CountingReader(Protocol):
    """One that can say how many rows there are."""

    def count(
        self, index_id: int, interval: Interval, *, but: Collection[bytes]
    ) -> int:
        """How many rows an interval has without the keys in `but`, at one moment."""


class Chunk(Generic[AnyRow]):
    """Some rows of a merged range, and the interval that is left to read."""

    __slots__ = ("end", "is_last", "rows", "start")

    def __init__(
        self, rows: list[AnyRow], start: bytes, end: bytes | None, *, is_last: bool
    ) -> None:
        self.rows = rows
        self.start = start
        self.end = end
        self.is_last = is_last


class ReadChunk(Protocol[AnyRow]):
    """How chunks of some kind of row are read: `read_chunk` or `read_bodies`."""

    def __call__(
        self,
        base: RangeReader,
        layers: Sequence[Overlay],
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> Chunk[AnyRow]:
        """The next rows of a range."""


def read_chunk(
    base: RangeReader,
    layers: Sequence[Overlay],
    index_id: int,
    start: bytes,
    end: bytes | None,
    *,
    reverse: bool,
    limit: int,
) -> Chunk[Row]:
    """The next rows of a range with `layers` laid over, older first: O2.

    Each source gives at most `limit` rows; what all of them cover up to their
    nearest last row is merged, the rest is left for the next chunk.
    """
    rows = base.range(index_id, start, end, reverse=reverse, limit=limit)
    bounds = [rows[-1][0]] if len(rows) == limit else []
    slices: list[tuple[dict[bytes, Revision | None], list[bytes]]] = []
    for layer in layers:
        layer_map = layer.maps.get(index_id)
        if layer_map is None:
            continue
        keys = layer_map.slice(start, end, reverse=reverse, limit=limit)
        if keys:
            slices.append((layer_map.entries, keys))
            if len(keys) == limit:
                bounds.append(keys[-1])
    if slices:
        rows = _merge(rows, slices, bounds, reverse=reverse)
    return _chunk(rows, bounds, start, end, reverse=reverse)


def read_bodies(
    base: RangeReader,
    layers: Sequence[Overlay],
    index_id: int,
    start: bytes,
    end: bytes | None,
    *,
    reverse: bool,
    limit: int,
) -> Chunk[Body]:
    """`read_chunk` for whoever only reads: no revision is made where none differs."""
    for layer in layers:
        if index_id in layer.maps:
            return _bodies_of(
                read_chunk(
                    base, layers, index_id, start, end, reverse=reverse, limit=limit
                )
            )
    rows = base.bodies(index_id, start, end, reverse=reverse, limit=limit)
    bounds = [rows[-1][0]] if len(rows) == limit else []
    return _chunk(rows, bounds, start, end, reverse=reverse)


def count_rows(
    base: CountingReader,
    layers: Sequence[Overlay],
    index_id: int,
    interval: Interval,
) -> int:
    """How many rows a range has with `layers` laid over, older first: O2.

    What the base has of what is laid over is counted by the layers alone: the base
    may take a layer in at any moment.
    """
    laid_over: dict[bytes, Revision | None] = {}
    for layer in layers:
        keys = layer.maps.get(index_id)
        if keys is not None:
            laid_over.update(keys.within(interval))
    there = sum(1 for revision in laid_over.values() if revision is not None)
    return there + base.count(index_id, interval, but=laid_over)


def _bodies_of(chunk: Chunk[Row]) -> Chunk[Body]:
    rows = [(key, revision.body) for key, revision in chunk.rows]
    return Chunk(rows, chunk.start, chunk.end, is_last=chunk.is_last)


def _chunk(
    rows: list[AnyRow],
    bounds: list[bytes],
    start: bytes,
    end: bytes | None,
    *,
    reverse: bool,
) -> Chunk[AnyRow]:
    if not bounds:
        return Chunk(rows, start, end, is_last=True)
    if reverse:
        return Chunk(rows, start, max(bounds), is_last=False)
    return Chunk(rows, min(bounds) + b"\0", end, is_last=False)


def _merge(
    rows: list[Row],
    slices: list[tuple[dict[bytes, Revision | None], list[bytes]]],
    bounds: list[bytes],
    *,
    reverse: bool,
) -> list[Row]:
    merged: dict[bytes, Revision | None] = dict(rows)
    for entries, keys in slices:
        for key in keys:
            merged[key] = entries[key]
    ordered = sorted(merged.items(), key=_key_of, reverse=reverse)
    if not bounds:
        return [(key, row) for key, row in ordered if row is not None]
    if reverse:
        bound = max(bounds)
        return [(key, row) for key, row in ordered if row is not None and key >= bound]
    bound = min(bounds)
    return [(key, row) for key, row in ordered if row is not None and key <= bound]


def _key_of(item: tuple[bytes, Revision | None]) -> bytes:
    return item[0]
