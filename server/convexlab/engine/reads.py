"""What a transaction reads: documents and ranges, recorded as far as they went.

What was not there is recorded too: a table, an index, a document. Beside the
record, what is read counts against the limits.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.documents.bodies import from_bodies_each, from_body
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.limits import Limits, Usage, too_many_intervals
from convexlab.engine.overlay import count_rows, read_bodies
from convexlab.engine.system_tables import (
    CATALOG_TABLES,
    MODULES,
    TABLES,
    index_presence,
    presence_of,
)
from convexlab.engine.view import View
from convexlab.engine.write_set import INDEX_SLOT_BITS, by_id_index, table_of_index
from convexlab.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convexlab.engine.look import Read
    from convexlab.engine.overlay import Body, PacedReader
    from convexlab.engine.read_set import RangeRead, ReadSet
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.write_set import Document

_TABLES_BY_ID: Final = by_id_index(TABLES)
# What the system looks at on the user's behalf is no read of the user's.
_UNCOUNTED: Final = CATALOG_TABLES | {MODULES}


class Reads(View):
    """See the module.

    Attributes:
        read_set: what was looked at.
        usage: how much was used of which limits.
    """

    read_set: ReadSet
    usage: Usage
    # More looks than this are too many, unless they merge into fewer intervals.
    _most_looks: int

    def table(self, name: str) -> TableInfo | None:
        """A table by name; that it is there, or not, is recorded (K2)."""
        found = self.catalog.tables.get(name)
        if found is None:
            self.read_set.record(*presence_of(name))
        elif not found.is_system:
            self.read_set.record(*found.presence)
        return found

    def index(self, table: TableInfo, name: str) -> IndexInfo:
        """A usable index by name; recorded likewise.

        Raises:
            NotFound: no such index, or not yet.
        """
        found = table.indexes.get(name)
        if found is None or found.document_id:
            self.read_set.record(*index_presence(table.number, name))
        return table.index(name) if found is None else found

    def found(
        self, table: TableInfo, internal_ids: Sequence[bytes]
    ) -> Iterator[Document | None]:
        """Documents that a derived index found, each as it is asked for; None: it is gone.

        N.B. nothing is recorded: whoever asked the index has recorded a look at all that
        it may find. What the store has of them is fetched at once.

        Args:
            table: that they are in.
            internal_ids: theirs.
        """
        below = self.snapshot.get_many_below(table.number, internal_ids)
        for internal_id in internal_ids:
            revision = self.revision(table.number, internal_id, below)
            if revision is None:
                yield None
            else:
                self.usage.read(len(revision.body))
                yield from_body(revision.body)

    def found_at_once(
        self, table: TableInfo, internal_ids: Sequence[bytes]
    ) -> list[Document | None]:
        """`found`, in one go."""
        bodies = self._bodies_of(table.number, internal_ids)
        there = [body for body in bodies if body is not None]
        self.has_read(list(map(len, there)))
        documents: list[Document | None] = from_bodies_each(there)
        if len(documents) == len(bodies):
            return documents
        rest = iter(documents)
        return [None if each is None else next(rest) for each in bodies]

    def _bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> list[bytes | None]:
        by_id = table << INDEX_SLOT_BITS
        if not any(by_id in layer.maps for layer in self._layers):
            # As nearly always in a query.
            found = self.snapshot.bodies_below(table, internal_ids)
            return list(map(found.get, internal_ids))
        below = self.snapshot.get_many_below(table, internal_ids)
        revisions = [self.revision(table, each, below) for each in internal_ids]
        return [None if each is None else each.body for each in revisions]

    def get(self, id_number: int, internal_id: bytes) -> Document | None:
        """A document by the two parts of its id, or None; looked at either way."""
        info = self.catalog.by_id_number.get(id_number)
        read_set = self.read_set
        if info is None:  # N.B. a table may come whose ids have that number
            read_set.record(_TABLES_BY_ID, EVERYTHING)
            return None
        read_set.record_point(info.number << INDEX_SLOT_BITS, internal_id)
        if info.document_id:
            read_set.record_point(_TABLES_BY_ID, info.document_id)
            if info.state != "active" and not self._is_seen(info):
                read_set.record(_TABLES_BY_ID, EVERYTHING)
                return None
        if read_set.count > self._most_looks:
            self._recount_intervals()
        revision = self.revision(info.number, internal_id)
        if revision is None:
            return None
        body = revision.body
        self.usage.read(len(body))
        return from_body(body)

    def range(
        self,
        index: IndexInfo,
        interval: Interval = EVERYTHING,
        *,
        reverse: bool = False,
        expect: int | None = None,
        where: bytes | None = None,
        base: PacedReader | None = None,
    ) -> Iterator[tuple[bytes, Document]]:
        """The (key, document) pairs of an index range, in the order of keys.

        What is recorded is what has been consumed. Own writes made meanwhile show
        if they lie ahead.

        Args:
            index: which index.
            interval: which of its keys.
            reverse: from the end.
            expect: how many rows will probably be asked for.
            where: the filter that whoever asks will apply; it is recorded only.
            base: what has the rows instead of the store, as of `snapshot.durable_ts`;
                it may leave out what the filter excludes.
        """
        read = self._open_range(index, interval, reverse=reverse, where=where)
        reached, usage_read = read.reached, self.usage.read
        for key, body in self._follow(
            read_bodies,
            index.id,
            interval,
            reverse=reverse,
            expect=expect,
            base=base,
        ):
            reached(key)
            usage_read(len(body))
            yield key, from_body(body)
        read.exhausted()

    def documents(
        self,
        index: IndexInfo,
        interval: Interval = EVERYTHING,
        *,
        reverse: bool = False,
        limit: int | None = None,
        where: bytes | None = None,
    ) -> list[Document]:
        """The documents of an index range, up to `limit`: as `range`, in one go."""
        return [
            document
            for bodies in self._read_through(
                index, interval, reverse=reverse, limit=limit, where=where
            )
            for document in from_bodies_each(bodies)
        ]

    def count(self, index: IndexInfo, interval: Interval = EVERYTHING) -> int:
        """How many documents an index range has: one look, at none of them."""
        read = self._open_range(index, interval, reverse=False, where=None)
        read.exhausted()
        if interval.is_empty():
            return 0
        return count_rows(self.snapshot.base, self._layers, index.id, interval)

    def reads(self) -> list[Read]:
        """What it looked at, for whoever wants to hear when that changes."""
        usage, limits = self.usage, self.usage.limits
        if (
            usage.documents_read > limits.documents_read
            or usage.bytes_read > limits.bytes_read
        ):
            self.read_set.count_all()
        return self.read_set.to_list()

    def has_read(self, sizes: list[int]) -> None:
        """Count documents that came from elsewhere, by their sizes in bytes.

        Raises:
            LimitExceeded: one of them is too many.
        """
        if not self.usage.read_all(sizes):
            for size in sizes:
                self.usage.read(size)

    # -- how ranges are read --------------------------------------------------

    def _read_through(
        self,
        index: IndexInfo,
        interval: Interval,
        *,
        reverse: bool = False,
        limit: int | None = None,
        where: bytes | None = None,
    ) -> Iterator[list[bytes]]:
        """The texts of a range, chunk by chunk, each recorded before it is given."""
        read = self._open_range(index, interval, reverse=reverse, where=where)
        start, end, is_last = interval.start, interval.end, interval.is_empty()
        left = sys.maxsize if limit is None else limit
        while left and not is_last:
            chunk = read_bodies(
                self.snapshot.base,
                self._layers,
                index.id,
                start,
                end,
                reverse=reverse,
                limit=min(left, knobs.RANGE_CHUNK_ROWS),
            )
            rows = chunk.rows[:left]  # layers may bring more than was asked for
            if rows:
                yield self._consume(read, rows)
            left -= len(rows)
            start, end, is_last = chunk.start, chunk.end, chunk.is_last
        if left:
            read.exhausted()

    def _consume(self, read: RangeRead, rows: list[Body]) -> list[bytes]:
        """Record that rows were read, all of them or up to the one that is too many."""
        keys, bodies = zip(*rows, strict=True)
        if not self.usage.read_all(list(map(len, bodies))):
            for key, body in rows:
                read.reached(key)
                self.usage.read(len(body))
        read.reached(keys[-1])
        return list(bodies)

    def _open_range(
        self,
        index: IndexInfo,
        interval: Interval,
        *,
        reverse: bool,
        where: bytes | None,
    ) -> RangeRead:
        read = self.read_set.open_range(
            index.id, interval, reverse=reverse, where=where
        )
        if self.read_set.count > self._most_looks:
            read.exhausted()  # as if it were: what now begins counts too
            self._recount_intervals()
            read.resumed()
        return read

    # -- limits ---------------------------------------------------------------

    @contextmanager
    def limited(self, limits: Limits) -> Iterator[None]:
        """Other limits for a while; what was used before counts all the same."""
        usage, before = self.usage, self.usage.limits
        usage.limits, self._most_looks = limits, 0
        try:
            yield
        except LimitExceeded:
            self.read_set.count_all()  # that it was met depends on all that was read
            raise
        finally:
            usage.limits, self._most_looks = before, 0

    def intervals_read(self) -> int:
        """How many intervals were read, those of the catalog left out."""
        return sum(
            table_of_index(index_id) not in _UNCOUNTED
            for index_id, *_ in self.read_set.to_list()
        )

    def _recount_intervals(self) -> None:
        """Too many looks; but they may merge into few enough intervals."""
        limits, looked = self.usage.limits, self.intervals_read()
        if looked > limits.read_intervals:
            raise too_many_intervals(limits)
        # So many more looks cannot make too many of them.
        self._most_looks = self.read_set.count + limits.read_intervals - looked
