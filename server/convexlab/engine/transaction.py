"""A transaction: a snapshot, what has been read of it, and what is to be written.

Writes stay in memory, as an overlay over the snapshot, so the transaction reads
what it wrote, and giving it up is forgetting it. Every read is recorded as far as
it went. A document is checked when it is written, not later.

    Transaction ──finish──▶ FinishedTransaction ──Committer.accept──▶ Commit

Savepoints nest: each is one more overlay, laid into the one below when it ends
well and dropped when it does not. Reads and counters stay either way.

Invariants
    X1  A failed write changes nothing.
    X2  A write that would change nothing is none: it is not checked, counted or
        recorded.
    X3  Of each document written there is one DocumentWrite, from what the snapshot
        had to what the transaction leaves; none if these are equal.
    X4  Creation times rise from document to document and from transaction to
        transaction, whatever the clock says: their order is that of insertion.
    X5  The timestamp that it was promised is its commit's: none comes between (C4).
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from convexlab import knobs
from convexlab.documents.encoding import from_stored, from_stored_each, to_stored
from convexlab.documents.ids import (
    decode_id,
    encode_id,
    new_internal_id,
)
from convexlab.documents.value import (
    UNDEFINED,
    check_document,
    normalize,
    normalize_fields,
    values_equal,
)
from convexlab.engine.catalog import (
    CATALOG_TABLES,
    MODULES,
    TABLES,
    Catalog,
    IndexInfo,
    TableInfo,
    index_presence,
    load_catalog,
    presence_of,
)
from convexlab.engine.constraints import (
    check_pending,
    check_unique,
    may_be_too_much,
    refuse_system_field,
    refuse_underscore,
)
from convexlab.engine.definitions import create_table
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.limits import (
    DEFAULT_LIMITS,
    NO_LIMITS,
    Limits,
    Usage,
    too_many_intervals,
)
from convexlab.engine.overlay import (
    AnyRow,
    Overlay,
    ReadChunk,
    count_rows,
    read_bodies,
    read_chunk,
)
from convexlab.engine.read_set import ReadSet
from convexlab.engine.write_set import (
    INDEX_SLOT_BITS,
    DocumentWrite,
    Revision,
    by_id_index,
    table_of_index,
)
from convexlab.errors import (
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from convexlab.engine.overlay import Body, Row
    from convexlab.engine.read_set import RangeRead, Read
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Document, IndexKey, IndexKeys

DocumentKey: TypeAlias = tuple[int, bytes]

# What the system looks at on the user's behalf is no read of the user's.
_UNCOUNTED: Final = CATALOG_TABLES | {MODULES}
# Neighbouring floats at today's times in ms, rounded up.
_CREATION_STEP_MS: Final = 2.0**-11


@dataclass(slots=True)
class FinishedTransaction:
    """A transaction whose reads and writes are fixed."""

    write_set: list[DocumentWrite]
    read_set: ReadSet
    overlay: Overlay
    began_at: int
    changes_catalog: bool = False
    changes_modules: bool = False
    # As it is after the transaction, if it changes it.
    catalog: Catalog | None = None
    added_entries: list[tuple[IndexKey, Revision]] | None = None
    # No creation time it gave out is after this one (ns): X4.
    created_before: int = 0
    # What it was promised, if it asked: X5.
    commit_ts: Timestamp | None = None

    @property
    def catalog_changed(self) -> bool:
        """Whether tables, indexes or schemas are among the writes."""
        return self.changes_catalog


class Transaction:
    """One transaction over a snapshot.

    Args:
        snapshot: what it sees besides its own writes.
        catalog: the catalog of that snapshot.
        ids: a source of random bytes, for new ids.
        now_ns: the time at which it runs.
        limits: how much it may read and write.
        writable: whether it may write.
        system: whether it may write system tables, and beyond the schema's word.
        began_at: how many transactions the committer had accepted; its own.
        promise_ts: gives the timestamp of its commit, which is after the one passed.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        catalog: Catalog,
        *,
        ids: Callable[[int], bytes] = os.urandom,
        now_ns: int | None = None,
        limits: Limits | None = None,
        writable: bool = False,
        system: bool = False,
        began_at: int = 0,
        promise_ts: Callable[[int], Timestamp] | None = None,
    ) -> None:
        if limits is None:
            limits = NO_LIMITS if system else DEFAULT_LIMITS
        self.snapshot = snapshot
        self.read_set = ReadSet()
        self.usage = Usage(limits)
        self.is_writable = writable
        self.is_system = system
        self.now_ns = time.time_ns() if now_ns is None else now_ns
        self.began_at = began_at
        self._catalog = self._first_catalog = catalog
        self._catalog_is_stale = False
        self._random_bytes = ids
        self._overlays: list[Overlay] = [Overlay()]
        self._layers: list[Overlay] = [*snapshot.layers, self._overlays[0]]
        self._originals: dict[DocumentKey, Revision | None] = {}
        self._writes_made = 0
        # X4. The time of day, or just after the newest, if the clock was set back.
        self._creation_time = max(
            self.now_ns / 1e6, math.nextafter(snapshot.ts / 1e6, math.inf)
        )
        self._added_entries: list[tuple[IndexKey, Revision]] = []
        self._promise_ts = promise_ts
        self._commit_ts: Timestamp | None = None  # *set by* commit_ts
        # More looks than this are too many, unless they merge into fewer intervals.
        self._most_looks = limits.read_intervals

    @property
    def ts(self) -> int:
        """The timestamp of the snapshot."""
        return self.snapshot.ts

    @property
    def now_ms(self) -> int:
        """The time at which it runs, in whole milliseconds."""
        return self.now_ns // 1_000_000

    @property
    def catalog(self) -> Catalog:
        """The catalog, own changes included."""
        if self._catalog_is_stale:
            self._catalog = load_catalog(self, ts=self._catalog.ts)
            self._catalog_is_stale = False
        return self._catalog

    @property
    def has_changed_catalog(self) -> bool:
        """Whether the catalog has changes of its own."""
        return self.catalog is not self._first_catalog

    # -- reading --------------------------------------------------------------

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

    def get(self, id_number: int, internal_id: bytes) -> Document | None:
        """A document by the two parts of its id, or None; looked at either way."""
        info = self.catalog.by_id_number.get(id_number)
        if info is None:  # N.B. a table may come whose ids have that number
            self.read_set.record(TABLES << INDEX_SLOT_BITS, EVERYTHING)
            return None
        table = info.number
        self.read_set.record_point(table << INDEX_SLOT_BITS, internal_id)
        if info.document_id:
            self.read_set.record_point(TABLES << INDEX_SLOT_BITS, info.document_id)
            if not self._is_seen(info):
                self.read_set.record(TABLES << INDEX_SLOT_BITS, EVERYTHING)
                return None
        if self.read_set.count > self._most_looks:
            self._recount_intervals()
        revision = self.revision(table, internal_id)
        if revision is None:
            return None
        self.usage.read(len(revision.body))
        return revision.decode()

    def range(
        self,
        index: IndexInfo,
        interval: Interval = EVERYTHING,
        *,
        reverse: bool = False,
        expect: int | None = None,
        where: bytes | None = None,
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
        """
        read = self._open_range(index, interval, reverse=reverse, where=where)
        reached, usage_read = read.reached, self.usage.read
        for key, body in self._follow(
            read_bodies, index.id, interval, reverse=reverse, expect=expect
        ):
            reached(key)
            usage_read(len(body))
            yield key, from_stored(body)  # type: ignore[misc]  # a document
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
            for document in from_stored_each(bodies)
        ]

    def count(self, index: IndexInfo, interval: Interval = EVERYTHING) -> int:
        """How many documents an index range has: one look, at none of them."""
        read = self._open_range(index, interval, reverse=False, where=None)
        read.exhausted()
        if interval.is_empty():
            return 0
        return count_rows(self.snapshot.base, self._layers, index.id, interval)

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

    def revision(self, table: int, internal_id: bytes) -> Revision | None:
        """The revision of a document, own writes included; nothing is recorded."""
        for overlay in reversed(self._overlays):
            keys = overlay.maps.get(table << INDEX_SLOT_BITS)
            if keys is not None and internal_id in keys.entries:
                return keys.entries[internal_id]
        return self.snapshot.get(table, internal_id)

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

    def has_read(self, sizes: list[int]) -> None:
        """Count documents that came from elsewhere, by their sizes in bytes.

        Raises:
            LimitExceeded: one of them is too many.
        """
        if not self.usage.read_all(sizes):
            for size in sizes:
                self.usage.read(size)

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
                self.snapshot.base,
                self._layers,
                index_id,
                start,
                end,
                reverse=reverse,
                limit=limit,
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

    def reads(self) -> list[Read]:
        """What it looked at, for whoever wants to hear when that changes."""
        usage, limits = self.usage, self.usage.limits
        if (
            usage.documents_read > limits.documents_read
            or usage.bytes_read > limits.bytes_read
        ):
            self.read_set.count_all()
        return self.read_set.to_list()

    def _is_seen(self, table: TableInfo) -> bool:
        """Whether the documents of a table are there: not while it is being filled."""
        return table.state == "active" or (table.state == "hidden" and self.is_system)

    def _recount_intervals(self) -> None:
        """Too many looks; but they may merge into few enough intervals."""
        limits, looked = self.usage.limits, self.intervals_read()
        if looked > limits.read_intervals:
            raise too_many_intervals(limits)
        # So many more looks cannot make too many of them.
        self._most_looks = self.read_set.count + limits.read_intervals - looked

    def intervals_read(self) -> int:
        """How many intervals were read, those of the catalog left out."""
        return sum(
            table_of_index(index_id) not in _UNCOUNTED
            for index_id, *_ in self.read_set.to_list()
        )

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

    def at_its_beginning(self) -> Transaction:
        """What it saw when it began: a reader on which nothing depends.

        Its own writes do not show, and what is read is not recorded; it counts.
        """
        reader = Transaction(
            self.snapshot,
            self._first_catalog,
            now_ns=self.now_ns,
            limits=self.usage.limits,
        )
        reader.usage = self.usage
        return reader

    # -- writing --------------------------------------------------------------

    def insert(self, table: str, fields: Mapping[str, Any]) -> str:
        """Insert a document, its table too if it is the first; returns its id."""
        return self._insert(self._table_to_write(table), fields)

    def insert_plain(self, table: str, document: Document) -> str:
        """Insert a document that nobody else holds and that is a value already.

        As `insert`, without the copy that makes a value of whatever users pass.
        """
        return self._insert_value(self._table_to_write(table), document)

    def insert_many(
        self, table: str, documents: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """Insert documents; returns their ids."""
        info = self._table_to_write(table)
        insert = self._insert
        return [insert(info, fields) for fields in documents]

    def creation_times(self, count: int) -> list[float]:
        """The creation times of the next documents: X4."""
        times, time_ = [], self._creation_time
        for _ in range(count):
            times.append(time_)
            time_ = math.nextafter(time_, math.inf)
        self._creation_time = time_
        return times

    def insert_revisions(self, info: TableInfo, revisions: Sequence[Revision]) -> None:
        """Insert documents that were checked, whose texts and keys are made."""
        self._require_writable()
        assert not info.unique, f"{info.name}: equal documents would go unseen"
        for revision in revisions:
            self._count(len(revision.body))
            self._originals[info.number, revision.id] = None
            self._overlays[-1].move((), info.keys_of(revision), revision)
        self._writes_made += len(revisions)

    def import_document(
        self, table: str | TableInfo, internal_id: bytes, document: Document
    ) -> str:
        """Insert a document with the `_id` and `_creationTime` it had elsewhere."""
        self._require_system("import documents")
        info = self._table_to_write(table)
        if self.revision(info.number, internal_id) is not None:
            raise InvalidValue(
                f"Document {document['_id']} exists already in {info.name}."
            )
        self._write(info, None, self._revision(info, internal_id, document))
        return encode_id(info.id_number, internal_id)

    def next_identity(self) -> tuple[bytes, float]:
        """An internal id and a creation time for a document that comes without."""
        creation_time = self._creation_time
        self._creation_time = math.nextafter(creation_time, math.inf)
        return new_internal_id(self._random_bytes, self.now_ns), creation_time

    def _insert(self, info: TableInfo, fields: Mapping[str, Any]) -> str:
        document: Any = normalize(fields)
        if type(document) is not dict:
            raise InvalidValue(f"A document of `{info.name}` must be a dict of fields.")
        return self._insert_value(info, document)

    def _insert_value(self, info: TableInfo, document: Document) -> str:
        for name in document:
            if name[:1] == "_":
                refuse_underscore(name, info)
        internal_id = new_internal_id(self._random_bytes, self.now_ns)
        creation_time = self._creation_time
        document["_creationTime"] = creation_time
        document["_id"] = document_id = encode_id(info.id_number, internal_id)
        self._write(info, None, self._revision(info, internal_id, document))
        self._creation_time = math.nextafter(creation_time, math.inf)
        return document_id

    def patch(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set some fields; those that are UNDEFINED go."""
        info, old = self._document_to_write(document_id, "Update on")
        changes = normalize_fields(fields, "")
        before = old.document
        after = before.copy()
        is_changed = False
        for name, value in changes.items():
            if value is UNDEFINED:
                if name in before:
                    is_changed = True
                    refuse_system_field(name)
                    del after[name]
            elif name not in before:
                is_changed = True
                if name[:1] == "_":
                    refuse_underscore(name, info)
                after[name] = value
            elif not values_equal(before[name], value):
                is_changed = True
                refuse_system_field(name)
                after[name] = value
        if is_changed:  # X2
            self._replace(info, old, after, changes)

    def replace(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set all fields; `_id` and `_creationTime` stay."""
        info, old = self._document_to_write(document_id, "Replace on")
        before = old.document
        after = {
            name: value
            for name, value in normalize_fields(fields, "").items()
            if value is not UNDEFINED
        }
        for name in after:
            if name[:1] == "_" and name not in ("_creationTime", "_id"):
                refuse_underscore(name, info)
        for name in ("_creationTime", "_id"):
            if not values_equal(after.setdefault(name, before[name]), before[name]):
                refuse_system_field(name)
            after[name] = before[name]
        if not values_equal(after, before):  # X2
            self._replace(info, old, after, after.keys() | before.keys())

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._delete(*self._document_to_write(document_id, "Delete on"))

    def clear(self, table: TableInfo, revision: Revision) -> None:
        """Delete a document of a table in whatever state."""
        self._require_system("clear a table")
        self._delete(self.catalog.by_number[table.number], revision)

    def _delete(self, info: TableInfo, old: Revision) -> None:
        self._count(0)
        self._originals.setdefault((info.number, old.id), old)
        self._put(info, info.keys_of(old), (), None)

    def _replace(
        self, info: TableInfo, old: Revision, after: Document, changed: Iterable[str]
    ) -> None:
        revision = self._revision(info, old.id, after)
        info.take_keys(revision, old, changed)
        self._write(info, old, revision)

    def _write(self, info: TableInfo, old: Revision | None, revision: Revision) -> None:
        """Write a document's next revision, if everything allows it: X1."""
        old_keys = () if old is None else info.keys_of(old)
        new_keys = info.keys_of(revision)
        if info.unique and new_keys is not old_keys:
            check_unique(self, info, revision, old_keys)
        if info.check_pending is not None:
            check_pending(self, info, revision.document)
        self._count(len(revision.body))
        self._originals.setdefault((info.number, revision.id), old)
        self._put(info, old_keys, new_keys, revision)

    def _count(self, size: int) -> None:
        """What the system writes is not the user's."""
        if not self.is_system:
            self.usage.wrote(size)

    def _revision(
        self, info: TableInfo, internal_id: bytes, document: Document
    ) -> Revision:
        if info.check is not None:
            info.check(document)
        body = to_stored(document)
        if not info.is_system and may_be_too_much(body):
            check_document(document)
        revision = Revision(info.number, internal_id, 0, body)
        revision.remember(document)
        return revision

    def _put(
        self,
        info: TableInfo,
        old_keys: IndexKeys,
        new_keys: IndexKeys,
        revision: Revision | None,
    ) -> None:
        self._overlays[-1].move(old_keys, new_keys, revision)
        self._writes_made += 1
        if info.number in CATALOG_TABLES:
            self._catalog_is_stale = True

    def commit_ts(self) -> Timestamp:
        """The timestamp that its commit will have: X5."""
        self._require_writable()
        if self._commit_ts is None:
            assert self._promise_ts is not None, "a reader is promised nothing"
            # After every creation time that it may still give out: X4.
            last_created = self._creation_time + knobs.MAX_WRITES * _CREATION_STEP_MS
            self._commit_ts = self._promise_ts(math.ceil(last_created * 1e6))
        return self._commit_ts

    # -- who may write what ----------------------------------------------------

    def _table_to_write(self, name: str | TableInfo) -> TableInfo:
        self._require_writable()
        if isinstance(name, TableInfo):  # one that may be hidden
            self._require_system("write to a table by its number")
            return self.catalog.by_number[name.number]
        info = self.catalog.tables.get(name)
        if info is None:
            return self._new_table(name)
        if info.is_system and not self.is_system:
            raise NotAllowed("System tables (prefixed with `_`) are read-only.")
        return info

    def _new_table(self, name: str) -> TableInfo:
        if name.startswith("_"):
            raise NotAllowed("System tables (prefixed with `_`) are read-only.")
        with self.as_system():
            create_table(self, name)
        return self.catalog.tables[name]

    def _document_to_write(
        self, document_id: str, what: str
    ) -> tuple[TableInfo, Revision]:
        self._require_writable()
        id_number, internal_id = decode_id(document_id)
        info = self.catalog.by_id_number.get(id_number)
        if info is not None and info.is_system and not self.is_system:
            raise NotAllowed("System tables (prefixed with `_`) are read-only.")
        if info is not None and self._may_write_in(info):
            revision = self.revision(info.number, internal_id)
            if revision is not None:
                return info, revision
        raise NotFound(f"{what} nonexistent document ID {document_id}")

    def _may_write_in(self, table: TableInfo) -> bool:
        """The system also fills and clears."""
        return table.state == "active" or (table.state != "deleted" and self.is_system)

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise NotAllowed("Only mutations may write: this transaction only reads.")

    def _require_system(self, what: str) -> None:
        if not self.is_system:
            raise NotAllowed(f"Only the system may {what}.")

    @contextmanager
    def as_system(self) -> Iterator[None]:
        """What a user's write entails in the system's tables is the system's."""
        before = self.is_system
        self.is_system = True
        try:
            yield
        finally:
            self.is_system = before

    # -- sub-transactions ------------------------------------------------------

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A sub-transaction: if it raises, its writes are gone; its reads stay (R2)."""
        overlay, catalog = Overlay(), self.catalog
        self._overlays.append(overlay)
        self._layers.append(overlay)
        try:
            yield
        except BaseException:
            self._drop(overlay)
            self._catalog, self._catalog_is_stale = catalog, False
            self._writes_made += 1
            raise
        self._drop(overlay)
        self._overlays[-1].update(overlay)

    def _drop(self, overlay: Overlay) -> None:
        dropped = self._overlays.pop()
        self._layers.pop()
        assert dropped is overlay, "savepoints end in the reverse order"

    # -- the end ---------------------------------------------------------------

    def add_entry(self, index: IndexInfo, revision: Revision) -> None:
        """Put a document that is already there into an index that is being filled."""
        key = dict(self.catalog.by_number[index.table].keys_of(revision))[index.id]
        self._overlays[-1].put(index.id, key, revision)
        self._added_entries.append(((index.id, key), revision))

    def finish(self) -> FinishedTransaction:
        """Fix what it read and wrote: X3."""
        assert len(self._overlays) == 1, "a savepoint is open"
        writes = [] if not self._originals else self._write_set()
        tables = {write.table for write in writes}
        return FinishedTransaction(
            writes,
            self.read_set,
            self._overlays[0],
            self.began_at,
            changes_catalog=not CATALOG_TABLES.isdisjoint(tables),
            changes_modules=MODULES in tables,
            catalog=self.catalog,
            added_entries=self._added_entries,
            created_before=int(self._creation_time * 1e6),
            commit_ts=self._commit_ts,
        )

    def _write_set(self) -> list[DocumentWrite]:
        writes = []
        by_number = self.catalog.by_number
        maps = self._overlays[0].maps
        for (table, internal_id), old in self._originals.items():
            keys = maps.get(table << INDEX_SLOT_BITS)
            if keys is None or internal_id not in keys.entries:
                continue  # written in a savepoint that was rolled back
            new = keys.entries[internal_id]
            if old is new:
                continue
            info = by_number[table]
            if old and new and old.body == new.body:
                # N.B. `new` will never be stored: who comes next must build on `old`.
                self._overlays[0].move((), info.keys_of(new), old)
                continue
            writes.append(
                DocumentWrite(
                    table,
                    internal_id,
                    old,
                    new,
                    () if old is None else info.keys_of(old),
                    () if new is None else info.keys_of(new),
                    info.keeps_history,
                )
            )
        return writes
