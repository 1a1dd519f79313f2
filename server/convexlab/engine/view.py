"""What a transaction sees: its snapshot, and over it what it has written.

Nothing is recorded here; `reads` is what functions look at through it. Writes are
overlays, one for the transaction and one for each savepoint that is open, so
giving one up is forgetting it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.catalog import Catalog, load_catalog
from convexlab.engine.overlay import AnyRow, Overlay, ReadChunk, read_chunk
from convexlab.engine.write_set import INDEX_SLOT_BITS, Revision, by_id_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convexlab.engine.interval import Interval
    from convexlab.engine.overlay import PacedReader, Row
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.table import TableInfo


class View:
    """See the module.

    Args:
        snapshot: what it sees besides its own writes.
        catalog: the catalog of that snapshot.
        system: whether it sees tables that are being filled.
    """

    def __init__(self, snapshot: Snapshot, catalog: Catalog, *, system: bool) -> None:
        self.snapshot = snapshot
        self.is_system = system
        self._first_catalog = catalog
        # *cleared by* each change of its own, *set by* whoever looks next.
        self._catalog: Catalog | None = catalog
        self._overlays: list[Overlay] = [Overlay()]
        self._layers: list[Overlay] = [*snapshot.layers, self._overlays[0]]
        self._writes_made = 0

    @property
    def ts(self) -> int:
        """The timestamp of the snapshot."""
        return self.snapshot.ts

    @property
    def catalog(self) -> Catalog:
        """The catalog, own changes included; loaded when one was made."""
        catalog = self._catalog
        if catalog is None:
            catalog = self._catalog = load_catalog(self, ts=self._first_catalog.ts)
        return catalog

    def _forget_catalog(self) -> None:
        """It has changed."""
        self._catalog = None

    @property
    def has_changed_catalog(self) -> bool:
        """Whether the catalog has changes of its own."""
        return self.catalog is not self._first_catalog

    def revision(
        self,
        table: int,
        internal_id: bytes,
        below: Mapping[bytes, Revision] | None = None,
    ) -> Revision | None:
        """The revision of a document, own writes included; nothing is recorded.

        Args:
            table: its number.
            internal_id: the document's.
            below: what the snapshot has of it and of others, if that was fetched.
        """
        by_id = table << INDEX_SLOT_BITS
        for layer in reversed(self._layers):
            keys = layer.maps.get(by_id)
            if keys is not None and internal_id in keys.entries:
                return keys.entries[internal_id]
        if below is not None:
            return below.get(internal_id)
        return self.snapshot.get_below(table, internal_id)

    def unsettled(self, table: TableInfo) -> dict[bytes, Revision | None]:
        """What became of documents after `snapshot.durable_ts`, own writes included.

        By internal id; None: there is no such document any more. Laid over what a
        derived index says as of `durable_ts` it gives what the transaction sees.
        """
        found: dict[bytes, Revision | None] = {}
        for overlay in (*self.snapshot.undurable, *self._overlays):
            keys = overlay.maps.get(by_id_index(table.number))
            if keys is not None:
                found.update(keys.entries)
        return found

    def has_written(self, table: TableInfo) -> bool:
        """Whether some of what it wrote so far is of this table."""
        index_id = by_id_index(table.number)
        return any(index_id in overlay.maps for overlay in self._overlays)

    def rows(
        self, index_id: int, interval: Interval, *, reverse: bool = False
    ) -> Iterator[Row]:
        """All rows of an index range, own writes included; nothing is recorded."""
        return self._follow(
            read_chunk, index_id, interval, reverse=reverse, expect=None
        )

    def _follow(
        self,
        read: ReadChunk[AnyRow],
        index_id: int,
        interval: Interval,
        *,
        reverse: bool,
        expect: int | None,
        base: PacedReader | None = None,
    ) -> Iterator[AnyRow]:
        start, end = interval.start, interval.end
        if interval.is_empty():
            return
        limit = knobs.RANGE_FIRST_ROWS if expect is None else expect
        most = knobs.RANGE_CHUNK_ROWS
        while True:
            limit = max(1, min(limit, most))
            writes_made = self._writes_made
            chunk = read(
                self.snapshot.base if base is None else base,
                self._layers,
                index_id,
                start,
                end,
                reverse=reverse,
                limit=limit if base is None else base.at_once(limit),
            )
            for row in chunk.rows:
                yield row
                if self._writes_made != writes_made:  # own writes may lie ahead
                    if reverse:
                        end = row[0]
                    else:
                        start = row[0] + b"\0"
                    break
            else:
                if chunk.is_last:
                    return
                start, end = chunk.start, chunk.end
            limit *= 4

    def _is_seen(self, table: TableInfo) -> bool:
        """Whether the documents of a table are there: not while it is being filled."""
        return table.state == "active" or (table.state == "hidden" and self.is_system)
