"""Reading a store's file: snapshots within a transaction, and the writer's head.

A read-only connection, here or in another process, sees a group whole or not at
all. A range as of an earlier timestamp walks the places that are taken now and
those that were left since, and asks history who was there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import apsw
import msgspec

from convexlab import knobs
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.log import LogEntry, decode_entry
from convexlab.engine.persistence.contract import CallRecord, Meta, require_log
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import INDEX_SLOT_BITS, Revision, table_of_index
from convexlab.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from convexlab.engine.interval import Interval
    from convexlab.engine.overlay import Body, Row
    from convexlab.engine.write_set import IndexKey

STORE_FILE = "store.sqlite3"
# Bodies may hold packed lists (documents/bodies.py), which programs before it misread: as
# base64 in the text since 3, as bytes behind it since 4.
FORMAT = 4
# What a writer makes its own: all that is there reads the same.
FORMATS_BEFORE = (2, 3)

encode_keys = msgspec.msgpack.Encoder().encode
decode_keys = msgspec.msgpack.Decoder(tuple[tuple[int, bytes], ...]).decode

_META = """
    SELECT last_ts, catalog_ts, modules_ts, log_from, history_from, history_bytes
    FROM meta"""
_GET = """
    SELECT d.row, d.ts, CAST(d.body AS BLOB)
    FROM index_entries e JOIN documents d ON d.row = e.document
    WHERE e.index_id = ?1 AND e.key = ?2"""
# N.B. for `IN (…)` SQLite would make and fill a table of its own.
_OF_MANY = """
    FROM carray(?2) c
    CROSS JOIN index_entries e ON e.index_id = ?1 AND e.key = c.value
    CROSS JOIN documents d ON d.row = e.document"""
_GET_MANY = f"SELECT e.key, d.row, d.ts, CAST(d.body AS BLOB) {_OF_MANY}"
_BODIES_OF = f"SELECT e.key, CAST(d.body AS BLOB) {_OF_MANY}"
_RANGE = """
    SELECT e.key, d.row, d.ts, CAST(d.body AS BLOB)
    FROM index_entries e CROSS JOIN documents d ON d.row = e.document
    WHERE e.index_id = ?1 AND e.key >= ?2 {bound}
    ORDER BY e.key {order} LIMIT ?4"""
_BODIES = """
    SELECT e.key, CAST(d.body AS BLOB)
    FROM index_entries e CROSS JOIN documents d ON d.row = e.document
    WHERE e.index_id = ?1 AND e.key >= ?2 {bound}
    ORDER BY e.key {order} LIMIT ?4"""
_COUNT = "SELECT count(*) FROM index_entries WHERE index_id = ?1 AND key >= ?2"
_COUNTS = {False: _COUNT, True: f"{_COUNT} AND key < ?3"}
_IS_THERE = """
    SELECT EXISTS (SELECT 1 FROM index_entries WHERE index_id = ?1 AND key = ?2)"""
_COUNTS_TO = {
    False: """
        SELECT count(*) FROM (
            SELECT 1 FROM index_entries WHERE index_id = ?1 AND key >= ?2 LIMIT ?3)""",
    True: """
        SELECT count(*) FROM (
            SELECT 1 FROM index_entries
            WHERE index_id = ?1 AND key >= ?2 AND key < ?3 LIMIT ?4)""",
}
_LEFT = """
    SELECT DISTINCT e.key FROM left_entries e
    WHERE e.index_id = ?1 AND e.key >= ?2 {bound} AND e.to_ts > ?5
    ORDER BY e.key {order} LIMIT ?4"""
_HISTORY_GET = """
    SELECT from_ts, to_ts, CAST(body AS BLOB), keys FROM history
    WHERE table_id = ?1 AND id = ?2 AND from_ts <= ?3
    ORDER BY from_ts DESC LIMIT 1"""


def _bounded(sql: str) -> dict[tuple[bool, bool], str]:
    """A range's text by (is there an end?, reverse?)."""
    return {
        (has_end, reverse): sql.format(
            bound="AND e.key < ?3" if has_end else "AND ?3 IS NULL",
            order="DESC" if reverse else "ASC",
        )
        for has_end in (False, True)
        for reverse in (False, True)
    }


_RANGES = _bounded(_RANGE)
_BODY_RANGES = _bounded(_BODIES)
_LEFT_RANGES = _bounded(_LEFT)


def connect(path: Path, *, flags: int) -> apsw.Connection:
    """A connection with the sizes that `knobs` says."""
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=200)
    connection.set_busy_timeout(knobs.SQLITE_BUSY_MS)
    # N.B. otherwise SQLite plans a statement anew each time that it is given other
    # values, which costs more than the read of one row.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    execute = connection.execute
    execute(f"PRAGMA cache_size = -{knobs.SQLITE_CACHE_KIB}")
    execute(f"PRAGMA mmap_size = {knobs.SQLITE_MMAP_BYTES}")
    execute("PRAGMA temp_store = MEMORY")
    return connection


def scalar(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Any:
    """The one value of a statement's one row."""
    rows = fetch(connection, sql, bindings)
    return rows[0][0] if rows else None


def fetch(
    connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """All rows of a statement, so that no cursor is left open."""
    return connection.execute(sql, bindings).fetchall()


def check_format(connection: apsw.Connection) -> None:
    """Refuse a store that a newer version wrote."""
    found = scalar(connection, "SELECT format FROM meta")
    if found != FORMAT:
        raise InternalError(
            f"The store has format {found}; this version of convexlab reads format "
            f"{FORMAT}. Use the version that wrote it, or export and import the data."
        )


def _meta_of(row: tuple[Any, ...]) -> Meta:
    last, catalog, modules, log, history, size = row
    return Meta(
        Timestamp(last),
        Timestamp(catalog),
        Timestamp(modules),
        Timestamp(log),
        Timestamp(history),
        size,
    )


class SqliteSnapshot:
    """Reads on a connection: within one transaction, or (the head's) in none."""

    __slots__ = ("_connection", "_held", "_meta")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._held: apsw.Cursor | None = None
        self._meta: Meta | None = None

    @classmethod
    def begin(cls, connection: apsw.Connection) -> SqliteSnapshot:
        """Read where the store stands, and go on to read there.

        N.B. SQLite's transaction lasts as long as a statement that has begun: it takes
        half as long as BEGIN, that statement and COMMIT.
        """
        snapshot = cls(connection)
        snapshot._held = connection.execute(_META)
        snapshot._meta = _meta_of(next(snapshot._held))
        return snapshot

    @property
    def is_held(self) -> bool:
        """Whether it is a transaction that has not ended."""
        return self._held is not None

    @property
    def meta(self) -> Meta:
        """Where the store stood."""
        if self._meta is not None:
            return self._meta
        (row,) = fetch(self._connection, _META)
        return _meta_of(row)

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""
        rows = fetch(self._connection, _GET, (table << INDEX_SLOT_BITS, internal_id))
        if not rows:
            return None
        row, ts, body = rows[0]
        return Revision(table, internal_id, ts, body, row)

    def get_many(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, Revision]:
        """The revisions of documents by their ids: of ten in half the time."""
        return {
            key: Revision(table, key, ts, body, row)
            for key, row, ts, body in self._of_many(_GET_MANY, table, internal_ids)
        }

    def bodies_of(
        self, table: int, internal_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        """The texts of documents by their ids."""
        return dict(self._of_many(_BODIES_OF, table, internal_ids))

    def _of_many(
        self, sql: str, table: int, internal_ids: Sequence[bytes]
    ) -> list[Any]:
        if not internal_ids:
            return []
        keys = apsw.carray(tuple(internal_ids))
        return fetch(self._connection, sql, (table << INDEX_SLOT_BITS, keys))

    def range(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """Rows of an index in key order."""
        table = index_id >> INDEX_SLOT_BITS
        return [
            (key, Revision(table, key[-16:], ts, body, row))
            for key, row, ts, body in fetch(
                self._connection,
                _RANGES[end is not None, reverse],
                (index_id, start, end, limit),
            )
        ]

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
        return fetch(
            self._connection,
            _BODY_RANGES[end is not None, reverse],
            (index_id, start, end, limit),
        )

    def get_at(self, table: int, internal_id: bytes, ts: Timestamp) -> Revision | None:
        """A document's revision as of an earlier timestamp."""
        current = self.get(table, internal_id)
        if current is not None and current.ts <= ts:
            return current
        return self._superseded(table, internal_id, ts)

    def _superseded(
        self,
        table: int,
        internal_id: bytes,
        ts: Timestamp,
        *,
        place: IndexKey | None = None,
    ) -> Revision | None:
        """The revision that history has as of `ts`, if it was at `place`."""
        rows = fetch(self._connection, _HISTORY_GET, (table, internal_id, ts))
        if not rows:
            return None
        from_ts, to_ts, body, keys = rows[0]
        if to_ts <= ts or (place is not None and place not in decode_keys(keys)):
            return None
        return Revision(table, internal_id, from_ts, body)

    def range_at(
        self,
        index_id: int,
        start: bytes,
        end: bytes | None,
        *,
        ts: Timestamp,
        reverse: bool,
        limit: int,
    ) -> list[Row]:
        """Places that are taken now and places that were left since, in one order.

        Of a place taken now by a later revision, and of one that was left, history
        says who was there.
        """
        which = (end is not None, reverse)
        rows: list[Row] = []
        while True:
            bindings = (index_id, start, end, limit)
            current = fetch(self._connection, _RANGES[which], bindings)
            left = fetch(self._connection, _LEFT_RANGES[which], (*bindings, ts))
            bounds = [one[-1][0] for one in (current, left) if len(one) == limit]
            taken: dict[bytes, tuple[Any, ...] | None] = {key: None for (key,) in left}
            taken.update({key: found for key, *found in current})
            bound = (max if reverse else min)(bounds, default=b"")
            for key in sorted(taken, reverse=reverse):
                if bounds and (key < bound if reverse else key > bound):
                    break
                revision = self._place_at(index_id, key, taken[key], ts)
                if revision is not None:
                    rows.append((key, revision))
            if not bounds or len(rows) >= limit:
                return rows[:limit]
            start, end = (start, bound) if reverse else (bound + b"\0", end)
            which = (end is not None, reverse)

    def _place_at(
        self, index_id: int, key: bytes, taken: Sequence[Any] | None, ts: Timestamp
    ) -> Revision | None:
        table = table_of_index(index_id)
        if taken is not None and taken[1] <= ts:
            row, from_ts, body = taken
            return Revision(table, key[-16:], from_ts, body, row)
        return self._superseded(table, key[-16:], ts, place=(index_id, key))

    def revisions(self, table: int, internal_id: bytes) -> list[tuple[Revision, int]]:
        """A document's kept revisions."""
        kept = [
            (Revision(table, internal_id, from_ts, body), to_ts)
            for from_ts, to_ts, body in fetch(
                self._connection,
                "SELECT from_ts, to_ts, CAST(body AS BLOB) FROM history"
                " WHERE table_id = ? AND id = ? ORDER BY from_ts",
                (table, internal_id),
            )
        ]
        current = self.get(table, internal_id)
        return kept if current is None else [*kept, (current, 0)]

    def log_after(self, ts: Timestamp, *, limit: int = 1000) -> list[LogEntry]:
        """The next log entries."""
        require_log(self.meta, ts)
        return [
            decode_entry(Timestamp(at), writes)
            for at, writes in fetch(
                self._connection,
                "SELECT ts, writes FROM log WHERE ts > ? ORDER BY ts LIMIT ?",
                (ts, limit),
            )
        ]

    def call(self, call_id: str) -> CallRecord | None:
        """The record of a session's call."""
        rows = fetch(
            self._connection, "SELECT ts, outcome FROM calls WHERE id = ?", (call_id,)
        )
        return CallRecord(Timestamp(rows[0][0]), rows[0][1]) if rows else None

    def calls_after(self, ts: Timestamp) -> dict[str, CallRecord]:
        """The records of the gateway's own newest calls."""
        require_log(self.meta, ts)
        return {
            call_id: CallRecord(Timestamp(at), outcome)
            for at, call_id, outcome in fetch(
                self._connection,
                "SELECT ts, call_id, outcome FROM log"
                " WHERE ts > ? AND call_id IS NOT NULL",
                (ts,),
            )
        }

    def count(
        self,
        index_id: int,
        interval: Interval = EVERYTHING,
        *,
        most: int | None = None,
        but: Collection[bytes] = (),
    ) -> int:
        """How many entries an index has in an interval, at one moment."""
        if not but:
            return self._count(index_id, interval, most)
        # N.B. without a transaction a group may be flushed between two statements.
        is_pinned = self._connection.in_transaction
        if not is_pinned:
            self._connection.execute("BEGIN")
        try:
            counted = self._count(index_id, interval, None)
            for key in but:
                found: int = scalar(self._connection, _IS_THERE, (index_id, key))
                counted -= found
            return counted
        finally:
            if not is_pinned:
                self._connection.execute("COMMIT")

    def _count(self, index_id: int, interval: Interval, most: int | None) -> int:
        bindings: tuple[Any, ...] = (index_id, interval.start)
        if interval.end is not None:
            bindings = (*bindings, interval.end)
        texts = _COUNTS
        if most is not None:
            texts, bindings = _COUNTS_TO, (*bindings, most)
        text = texts[interval.end is not None]
        counted: int = scalar(self._connection, text, bindings)
        return counted

    def close(self) -> None:
        """End the transaction."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OwnSnapshot(SqliteSnapshot):
    """A snapshot that closes its connection too."""

    __slots__ = ()

    def close(self) -> None:
        """End the transaction by closing the connection."""
        self._connection.close()


class SqliteReader:
    """A store's file opened read-only, in whatever process."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder / STORE_FILE, flags=apsw.SQLITE_OPEN_READONLY)
        check_format(self._connection)
        self._snapshot = SqliteSnapshot(self._connection)

    def snapshot(self) -> SqliteSnapshot:
        """Everything flushed so far; one at a time, and short: it holds the WAL."""
        assert not self._snapshot.is_held, "the one before would go on with it"
        self._snapshot = SqliteSnapshot.begin(self._connection)
        return self._snapshot

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
