"""A snapshot: the database as of one timestamp, whatever it is put together from.

The writer's head is a store that may lag plus overlays of the groups in memory; a
reader's snapshot is the store alone; `snapshot_at` is a store that has gone too
far plus the overlay that takes it back. All three read alike.

A reader asked for an earlier timestamp has two ways. A few commits back, their log
entries say what to undo. Far back, each read looks at history beside the current
rows; that costs more a read and nothing at first.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol, Self

from convexlab import knobs
from convexlab.engine.overlay import Body, Chunk, Overlay, Row, read_chunk
from convexlab.engine.persistence.contract import require_history
from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.engine.write_set import INDEX_SLOT_BITS
from convexlab.errors import OutOfRetention

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from convexlab.engine.cache import RevisionCache
    from convexlab.engine.interval import Interval
    from convexlab.engine.log import LogEntry, LogWrite
    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.engine.write_set import IndexKeys, Revision


class Base(Protocol):
    """What a snapshot lays its layers over."""

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""

    def get_many(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        """The revisions of documents by their ids; those that there are not are left out."""

    def bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The texts of `get_many`, for whoever only reads."""

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

    def count(
        self,
        index_id: int,
        interval: Interval,
        *,
        most: int | None = None,
        but: Collection[bytes] = (),
    ) -> int:
        """How many rows an interval has without the keys in `but`, at one moment.

        Beyond `most` it need not know.
        """

    def close(self) -> None:
        """Let go of it."""


class Snapshot:
    """Reads at one timestamp.

    Args:
        base: the store's rows.
        ts: what the snapshot shows is exact as of this timestamp.
        catalog_ts: the newest change of tables, indexes or schemas in it.
        modules_ts: the newest change of modules in it.
        layers: what differs from the base, older first.
        cache: of the base, if its owner keeps one.
        durable_ts: of the newest commit in it that others can see; None: that is `ts`.
    """

    __slots__ = (
        "base",
        "cache",
        "catalog_ts",
        "durable_ts",
        "layers",
        "modules_ts",
        "ts",
    )

    def __init__(
        self,
        base: Base,
        *,
        ts: Timestamp,
        catalog_ts: Timestamp,
        modules_ts: Timestamp,
        layers: Sequence[Overlay] = (),
        cache: RevisionCache | None = None,
        durable_ts: Timestamp | None = None,
    ) -> None:
        self.base = base
        self.cache = cache
        self.ts = ts
        self.catalog_ts = catalog_ts
        self.modules_ts = modules_ts
        self.layers = tuple(layers)
        self.durable_ts = ts if durable_ts is None else durable_ts

    @property
    def undurable(self) -> Sequence[Overlay]:
        """What was accepted after `durable_ts`: nobody else can see it yet."""
        return self.layers if self.durable_ts < self.ts else ()

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""
        for layer in reversed(self.layers):
            entries = layer.maps.get(table << INDEX_SLOT_BITS)
            if entries is not None and internal_id in entries.entries:
                return entries.entries[internal_id]
        return self.get_below(table, internal_id)

    def get_below(self, table: int, internal_id: bytes) -> Revision | None:
        """The revision of a document that no layer mentions."""
        cache = self.cache
        if cache is None:
            return self.base.get(table, internal_id)
        revision = cache.get(table, internal_id)
        if revision is None:
            revision = self.base.get(table, internal_id)
            if revision is not None:
                cache.put(revision)
        return revision

    def get_many_below(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        """`get_below` of several, by id: what is not at hand is fetched together."""
        cache = self.cache
        if cache is None:
            return self.base.get_many(table, internal_ids)
        at_hand = {each: cache.get(table, each) for each in internal_ids}
        missing = [each for each, revision in at_hand.items() if revision is None]
        fetched = self.base.get_many(table, missing)
        for revision in fetched.values():
            cache.put(revision)
        return fetched | {id_: each for id_, each in at_hand.items() if each}

    def bodies_below(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The texts of `get_many_below`."""
        if self.cache is None:
            return self.base.bodies_of(table, internal_ids)
        revisions = self.get_many_below(table, internal_ids)
        return {id_: each.body for id_, each in revisions.items()}

    def chunk(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> Chunk[Row]:
        """The next rows of an index range."""
        return read_chunk(
            self.base, self.layers, index_id, start, end, reverse=reverse, limit=limit
        )

    def rows(
        self, index_id: int, interval: Interval, *, reverse: bool = False
    ) -> Iterator[Row]:
        """All rows of an index range; nothing is recorded."""
        return iterate(self, index_id, interval, reverse=reverse)

    def close(self) -> None:
        """Let go of the store's snapshot."""
        self.base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def iterate(
    snapshot: Snapshot, index_id: int, interval: Interval, *, reverse: bool = False
) -> Iterator[Row]:
    """All rows of an index range, chunk by chunk."""
    start, end = interval.start, interval.end
    while True:
        chunk = snapshot.chunk(
            index_id, start, end, reverse=reverse, limit=knobs.RANGE_CHUNK_ROWS
        )
        yield from chunk.rows
        if chunk.is_last:
            return
        start, end = chunk.start, chunk.end


def newest_snapshot(base: PersistenceSnapshot) -> Snapshot:
    """What a store's snapshot shows, as it is."""
    meta = base.meta
    return Snapshot(
        base, ts=meta.last_ts, catalog_ts=meta.catalog_ts, modules_ts=meta.modules_ts
    )


def snapshot_at(base: PersistenceSnapshot, ts: Timestamp) -> Snapshot:
    """What a store's snapshot showed at an earlier timestamp.

    N.B. `catalog_ts` and `modules_ts` never say more than `ts`: if either changed
    after it, they say `ts`, so that a catalog read here is not taken for a newer.

    Raises:
        OutOfRetention: that state is no longer kept, or not reached yet.
    """
    meta = base.meta
    if ts > meta.last_ts:
        raise OutOfRetention(
            f"{in_words(ts)} is not reached yet: the store is at "
            f"{in_words(meta.last_ts)}."
        )
    if ts == meta.last_ts:
        return newest_snapshot(base)
    require_history(meta, ts)
    limit = knobs.UNDO_COMMITS
    later = base.log_after(ts, limit=limit) if ts >= meta.log_from else None
    if later is None or len(later) == limit:
        reads: Base = _AsOf(base, ts)
        layers: list[Overlay] = []
    else:
        reads, layers = base, [undoing(base, later)]
    return Snapshot(
        reads,
        ts=ts,
        catalog_ts=min(ts, meta.catalog_ts),
        modules_ts=min(ts, meta.modules_ts),
        layers=layers,
    )


def undoing(base: PersistenceSnapshot, later: Sequence[LogEntry]) -> Overlay:
    """The overlay that takes `base` back to before these commits, oldest first."""
    first: dict[tuple[int, bytes], LogWrite] = {}
    last_keys: dict[tuple[int, bytes], IndexKeys] = {}
    for entry in later:
        for write in entry.writes:
            document = (write.table, write.id)
            first.setdefault(document, write)
            last_keys[document] = write.new_keys
    overlay = Overlay()
    for document, write in first.items():
        before = _before(base, write)
        if write.previous_ts and before is None:
            continue  # its table keeps no history: it stays as it is
        overlay.move(last_keys[document], write.old_keys, before)
    return overlay


def _before(base: PersistenceSnapshot, write: LogWrite) -> Revision | None:
    if not write.previous_ts:
        return None
    return base.get_at(write.table, write.id, Timestamp(write.previous_ts))


class _AsOf:
    """A store's snapshot read as of an earlier timestamp, through its history."""

    def __init__(self, base: PersistenceSnapshot, ts: Timestamp) -> None:
        self._base = base
        self._ts = ts

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        return self._base.get_at(table, internal_id, self._ts)

    def get_many(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        found = {each: self.get(table, each) for each in internal_ids}
        return {each: revision for each, revision in found.items() if revision}

    def bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        found = self.get_many(table, internal_ids)
        return {each: revision.body for each, revision in found.items()}

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        return self._base.range_at(
            index_id, start, end, ts=self._ts, reverse=reverse, limit=limit
        )

    def bodies(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Body]:
        rows = self.range(index_id, start, end, reverse=reverse, limit=limit)
        return [(key, revision.body) for key, revision in rows]

    def count(
        self,
        index_id: int,
        interval: Interval,
        *,
        most: int | None = None,
        but: Collection[bytes] = (),
    ) -> int:
        whole = Snapshot(self, ts=self._ts, catalog_ts=self._ts, modules_ts=self._ts)
        rows = islice(whole.rows(index_id, interval), most)
        return sum(1 for key, _ in rows if key not in but)

    def close(self) -> None:
        self._base.close()
