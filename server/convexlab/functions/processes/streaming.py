"""Streaming: documents page by page as of a moment, then what became of them.

    list_snapshot      ──▶ pages as of one timestamp, table by table, by id
    document_deltas    ──▶ what was written after it, by timestamp; again and again

A page of changes ends between two commits, so a timestamp is all that there is to a
cursor. As far back as the log reaches it tells every change. Farther back, as far as
history does, and where a whole table came, went or was renamed (an import does all
three), two moments are compared: then it is what a document has become and not each
step on the way.

Invariants
    S1  Whoever applies a snapshot's pages, then all changes after it, has the
        documents of the newest cursor.
    S2  A cursor never lies inside of a commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import to_clean_json, to_export_json, to_wire
from convexlab.documents.ids import decode_id, encode_id
from convexlab.engine.catalog import load_catalog
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.past import past_catalog
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.system_tables import TABLES
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import by_id_index
from convexlab.errors import CallerError, InvalidArguments
from convexlab.functions.shapes import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convexlab.documents.value import Value
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.log import LogEntry
    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.functions.processes.selection import Selection

WRITERS: Final[dict[str, Callable[[Value], bytes]]] = {
    "json": to_clean_json,
    "convex_clean_json": to_clean_json,
    "convex_encoded_json": to_wire,
    "convex_json": to_wire,
    "export_json": to_export_json,
}


class _Place(msgspec.Struct, frozen=True):
    """Where a page of a snapshot ended: after this document of this table."""

    tablet: str
    id: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to a document: its revision, or None for a deletion."""

    ts: int
    table: TableInfo
    id: bytes
    revision: Revision | None

    @property
    def order(self) -> tuple[int, bool]:
        """Within a commit what goes is told first: an id may come back."""
        return self.ts, self.revision is not None


class Stream:
    """Pages of one store, of what is selected, in one format.

    Args:
        base: a snapshot of the store.
        selection: of its tables and their fields.
        form: the format's name.
    """

    def __init__(
        self, base: PersistenceSnapshot, selection: Selection, form: str
    ) -> None:
        self._base = base
        self._selection = selection
        self._write = WRITERS[form]

    # -- as of one moment -----------------------------------------------------------

    def list_snapshot(self, ts: int | None, cursor: str | None) -> bytes:
        """A page of the documents as of a moment, which is now if none is said.

        Raises:
            InvalidArguments: the cursor is none.
            OutOfRetention: the moment is no longer kept, or not reached yet.
        """
        at = Timestamp(self._base.meta.last_ts if ts is None else ts)
        snapshot = snapshot_at(self._base, at)
        tables = self._selected(past_catalog(self._base, snapshot))
        number, start = _place(cursor) if cursor is not None else (0, b"")
        values: list[bytes] = []
        size, place = 0, None
        for table in (table for table in tables if table.number >= number):
            first = start if table.number == number else b""
            for revision in _by_id(snapshot, table, first):
                if _is_full(len(values), size, knobs.SNAPSHOT_PAGE_DOCUMENTS):
                    return _page(values, at, place)
                values.append(self._told(table, revision.ts, revision))
                size += len(values[-1])
                place = _place_after(table, revision)
        return _page(values, at, None)

    # -- from one moment on ---------------------------------------------------------

    def document_deltas(self, after: int) -> bytes:
        """A page of what was written after a timestamp.

        Raises:
            InvalidArguments: the timestamp is not reached yet.
            OutOfRetention: that far back nothing is kept.
        """
        meta = self._base.meta
        if after > meta.last_ts:
            raise InvalidArguments(
                f"cursor {after} is not reached yet: the newest is {meta.last_ts}."
            )
        if after >= meta.log_from:
            page = self._logged(after)
            if page is not None:
                return page
        changes = sorted(self._compared(Timestamp(after)), key=lambda one: one.order)
        cut = len(changes)
        if cut > knobs.DELTA_PAGE_DOCUMENTS:
            last = changes[knobs.DELTA_PAGE_DOCUMENTS - 1].ts
            cut = next((n for n, one in enumerate(changes) if one.ts > last), cut)  # S2
        has_more = cut < len(changes)
        cursor = changes[cut - 1].ts if has_more else meta.last_ts
        return self._deltas(changes[:cut], cursor, has_more=has_more)

    def _logged(self, after: int) -> bytes | None:
        """A page out of the log; None where a whole table changes first."""
        read = self._base.log_after(Timestamp(after), limit=knobs.UNDO_COMMITS)
        entries = list(takewhile(_leaves_tables, read))
        if read and not entries:
            return None
        has_more = len(entries) < len(read) or len(read) == knobs.UNDO_COMMITS
        # N.B. tables are called what they were called then.
        wanted = self._tables_at(entries[-1].ts) if entries else {}
        cursor, size, changes = after, 0, list[Change]()
        for entry in entries:
            if _is_full(len(changes), size, knobs.DELTA_PAGE_DOCUMENTS):
                return self._deltas(changes, cursor, has_more=True)
            of_entry = list(self._of_entry(entry, wanted))
            changes += of_entry
            size += sum(len(one.revision.body) for one in of_entry if one.revision)
            cursor = entry.ts
        return self._deltas(changes, cursor, has_more=has_more)

    def _tables_at(self, ts: Timestamp) -> Mapping[int, TableInfo]:
        catalog = past_catalog(self._base, snapshot_at(self._base, ts))
        return {table.number: table for table in self._selected(catalog)}

    def _of_entry(
        self, entry: LogEntry, wanted: Mapping[int, TableInfo]
    ) -> Iterator[Change]:
        for write in entry.writes:
            table = wanted.get(write.table)
            if table is None:
                continue
            revision = (
                None
                if write.is_deletion
                else self._base.get_at(write.table, write.id, entry.ts)
            )
            yield Change(entry.ts, table, write.id, revision)

    def _compared(self, after: Timestamp) -> Iterator[Change]:
        """What differs between a moment and now."""
        past = snapshot_at(self._base, after)
        present = newest_snapshot(self._base)
        before = {t.number: t for t in self._selected(past_catalog(self._base, past))}
        now = {t.number: t for t in self._selected(self._now())}
        for number, table in now.items():
            was = before.get(number)
            if was is not None and was.name == table.name:
                yield from self._within(table, past, present)
            else:
                came = self._since(table, after, is_so=True)
                for revision in _by_id(present, table):
                    ts = max(came, revision.ts)
                    yield Change(ts, table, revision.id, revision)
        for number, table in before.items():
            if number not in now or now[number].name != table.name:
                went = self._since(table, after, is_so=False)
                for revision in _by_id(past, table):
                    # N.B. some went before their table did.
                    ts = min(went, self._end_of(revision) or went)
                    yield Change(ts, table, revision.id, None)

    def _within(
        self, table: TableInfo, past: Snapshot, present: Snapshot
    ) -> Iterator[Change]:
        """What differs in a table that was there all the time."""
        before = _by_id(past, table)
        was = next(before, None)
        for revision in _by_id(present, table):
            while was is not None and was.id < revision.id:
                yield Change(self._end_of(was), table, was.id, None)
                was = next(before, None)
            if was is not None and was.id == revision.id:
                was = next(before, None)
            if revision.ts > past.ts:
                yield Change(revision.ts, table, revision.id, revision)
        while was is not None:
            yield Change(self._end_of(was), table, was.id, None)
            was = next(before, None)

    def _end_of(self, was: Revision) -> int:
        """When a document was deleted; 0: it is still there."""
        *_, (_, end) = self._base.revisions(was.table, was.id)
        return end

    def _since(self, table: TableInfo, after: int, *, is_so: bool) -> int:
        """From when on, after a moment, a table was to be seen by this name, or not."""
        revisions = self._base.revisions(TABLES, table.document_id)
        for revision, _ in revisions:
            told = revision.document
            is_seen = told["state"] == "active" and told["name"] == table.name
            if revision.ts > after and is_seen == is_so:
                return revision.ts
        (_, end) = revisions[-1]  # its document went
        return end

    # -- pages ----------------------------------------------------------------------

    def _now(self) -> Catalog:
        snapshot = newest_snapshot(self._base)
        return load_catalog(snapshot, ts=snapshot.catalog_ts)

    def _selected(self, catalog: Catalog) -> list[TableInfo]:
        wanted = [t for t in catalog.user_tables() if self._selection.of(t.name)]
        return sorted(wanted, key=lambda table: table.number)

    def _told(self, table: TableInfo, ts: int, revision: Revision) -> bytes:
        document = self._selection.fields(table.name, revision.document)
        head = msgspec.json.encode(
            {"_component": "", "_table": table.name, "_ts": int(ts)}
        )
        return head[:-1] + b"," + self._write(document)[1:]

    def _deltas(self, changes: list[Change], cursor: int, *, has_more: bool) -> bytes:
        values = []
        for change in changes:
            if change.revision is None:
                gone = {
                    "_component": "",
                    "_table": change.table.name,
                    "_ts": int(change.ts),
                    "_id": encode_id(change.table.id_number, change.id),
                    "_deleted": True,
                }
                values.append(msgspec.json.encode(gone))
            else:
                told = self._told(change.table, change.ts, change.revision)
                values.append(told[:-1] + b',"_deleted":false}')
        body = {
            "values": [msgspec.Raw(value) for value in values],
            "cursor": int(cursor),
            "hasMore": has_more,
        }
        return msgspec.json.encode(body)


def _is_full(count: int, size: int, most: int) -> bool:
    return count >= most or size >= knobs.STREAM_PAGE_BYTES


def _leaves_tables(entry: LogEntry) -> bool:
    """Whether no table that was there came to be seen, or no longer, or was renamed."""
    return not any(w.table == TABLES and w.previous_ts for w in entry.writes)


def _by_id(
    snapshot: Snapshot, table: TableInfo, start: bytes = b""
) -> Iterator[Revision]:
    rest = Interval(start)
    for _, revision in snapshot.rows(by_id_index(table.number), rest):
        yield revision


def _place(cursor: str) -> tuple[int, bytes]:
    """A table's number, and where to go on in it.

    Raises:
        InvalidArguments: it is none.
    """
    try:
        place = msgspec.json.decode(cursor, type=_Place)
        return int(place.tablet), decode_id(place.id)[1] + b"\0"
    except (msgspec.MsgspecError, ValueError, CallerError):
        raise InvalidArguments(
            f"InvalidCursor: {cursor!r} is not what a page of a snapshot ended with."
        ) from None


def _place_after(table: TableInfo, revision: Revision) -> str:
    place = _Place(str(table.number), encode_id(table.id_number, revision.id))
    return msgspec.json.encode(place).decode()


def _page(values: list[bytes], ts: int, cursor: str | None) -> bytes:
    body = {
        "values": [msgspec.Raw(value) for value in values],
        "snapshot": int(ts),
        "cursor": cursor,
        "hasMore": cursor is not None,
    }
    return msgspec.json.encode(body)


# -- what there is ------------------------------------------------------------------


def infer_shapes(base: PersistenceSnapshot) -> bytes:
    """What the newest documents of each table look like, by its name."""
    snapshot = newest_snapshot(base)
    catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
    names = {table.id_number: table.name for table in catalog.user_tables()}

    def table_of(text: str) -> str | None:
        try:
            return names.get(decode_id(text)[0])
        except CallerError:
            return None

    shapes = {}
    for table in sorted(catalog.user_tables(), key=lambda table: table.name):
        seen = Seen(table_of)
        rows = snapshot.rows(table.by_creation_time.id, EVERYTHING, reverse=True)
        for _, revision in islice(rows, knobs.SHAPE_DOCUMENTS):
            seen.add(revision.document)
        shapes[table.name] = seen.shape()
    return msgspec.json.encode(shapes)
