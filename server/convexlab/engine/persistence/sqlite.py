"""The store on SQLite: one file, written by one connection, read by many.

The writer holds four connections: the one that writes; one that reads while a
flush is on its way in another thread; the checkpointer's; and none of them ever
waits for a reader. A group is one SQLite transaction: `apply` runs its statements
where the mutations run, `flush` is the COMMIT with its fsync, alone worth a
second thread. Readers, here or in other processes, open the file read-only and
see a group whole or not at all.

The WAL is kept short without ever waiting: a thread copies it back passively
while groups go on, and when what is left is little the writer copies the rest
between two groups, so that the next group begins the WAL anew.

Invariants
    Q1  Statements of a group run between BEGIN IMMEDIATE and the COMMIT of its
        flush, on the writing connection alone.
    Q2  From `apply` to `settled` nobody else uses the writing connection.
"""

from __future__ import annotations

import sys
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any, Self

import apsw
import msgspec

from convexlab import knobs
from convexlab.engine.log import LogEntry, decode_entry, encode_writes
from convexlab.engine.persistence.contract import (
    CallRecord,
    Meta,
    Trimmed,
    is_session_call,
    require_log,
)
from convexlab.engine.persistence.folder import FolderLock, require_local_disk
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import (
    INDEX_SLOT_BITS,
    Revision,
    table_of_index,
)
from convexlab.errors import InternalError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from convexlab.engine.overlay import Row
    from convexlab.engine.persistence.contract import Commit, TrimPlan
    from convexlab.engine.write_set import DocumentWrite, IndexKey, IndexKeys

STORE_FILE = "store.sqlite3"
FORMAT = 1

_encode_keys = msgspec.msgpack.Encoder().encode
_decode_keys = msgspec.msgpack.Decoder(tuple[tuple[int, bytes], ...]).decode

_META = """
    SELECT last_ts, catalog_ts, modules_ts, log_from, history_from, history_bytes
    FROM meta"""
_GET = """
    SELECT d.row, d.ts, CAST(d.body AS BLOB)
    FROM index_entries e JOIN documents d ON d.row = e.document
    WHERE e.index_id = ?1 AND e.key = ?2"""
_RANGE = """
    SELECT e.key, d.row, d.ts, CAST(d.body AS BLOB)
    FROM index_entries e CROSS JOIN documents d ON d.row = e.document
    WHERE e.index_id = ?1 AND e.key >= ?2 {bound}
    ORDER BY e.key {order} LIMIT ?4"""
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
_LEFT_RANGES = _bounded(_LEFT)


def _connect(path: Path, *, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=200)
    connection.set_busy_timeout(knobs.SQLITE_BUSY_MS)
    execute = connection.execute
    execute(f"PRAGMA cache_size = -{knobs.SQLITE_CACHE_KIB}")
    execute(f"PRAGMA mmap_size = {knobs.SQLITE_MMAP_BYTES}")
    execute("PRAGMA temp_store = MEMORY")
    return connection


def _scalar(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Any:
    """The one value of a statement's one row."""
    rows = _rows(connection, sql, bindings)
    return rows[0][0] if rows else None


def _rows(
    connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """All rows of a statement, so that no cursor is left open."""
    return connection.execute(sql, bindings).fetchall()


class SqliteReader:
    """A store's file opened read-only, in whatever process."""

    def __init__(self, folder: Path) -> None:
        self._connection = _connect(
            folder / STORE_FILE, flags=apsw.SQLITE_OPEN_READONLY
        )
        check_format(self._connection)

    def snapshot(self) -> SqliteSnapshot:
        """Everything flushed so far; one at a time, and short: it holds the WAL."""
        return SqliteSnapshot.begin(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def open_reader(folder: Path) -> SqliteReader:
    """Open a deployment's store for reading; its writer must have opened it once."""
    return SqliteReader(folder)


def check_format(connection: apsw.Connection) -> None:
    """Refuse a store that a newer version wrote."""
    found = _scalar(connection, "SELECT format FROM meta")
    if found != FORMAT:
        raise InternalError(
            f"The store has format {found}; this version of convexlab reads format "
            f"{FORMAT}. Use the version that wrote it, or export and import the data."
        )


class SqliteSnapshot:
    """Reads on a connection: within one transaction, or (the head's) in none."""

    __slots__ = ("_connection", "_meta", "_pinned")

    def __init__(self, connection: apsw.Connection, *, pinned: bool) -> None:
        self._connection = connection
        self._pinned = pinned
        self._meta: Meta | None = None

    @classmethod
    def begin(cls, connection: apsw.Connection) -> SqliteSnapshot:
        """Begin a transaction and read in it where it stands."""
        connection.execute("BEGIN")
        snapshot = cls(connection, pinned=True)
        snapshot._meta = snapshot.meta
        return snapshot

    @property
    def meta(self) -> Meta:
        """Where the store stood."""
        if self._meta is not None:
            return self._meta
        ((last, catalog, modules, log, history, size),) = _rows(self._connection, _META)
        return Meta(
            Timestamp(last),
            Timestamp(catalog),
            Timestamp(modules),
            Timestamp(log),
            Timestamp(history),
            size,
        )

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A document's revision."""
        rows = _rows(self._connection, _GET, (table << INDEX_SLOT_BITS, internal_id))
        if not rows:
            return None
        row, ts, body = rows[0]
        return Revision(table, internal_id, ts, body, row)

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
            for key, row, ts, body in _rows(
                self._connection,
                _RANGES[end is not None, reverse],
                (index_id, start, end, limit),
            )
        ]

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
        rows = _rows(self._connection, _HISTORY_GET, (table, internal_id, ts))
        if not rows:
            return None
        from_ts, to_ts, body, keys = rows[0]
        if to_ts <= ts or (place is not None and place not in _decode_keys(keys)):
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
            current = _rows(self._connection, _RANGES[which], bindings)
            left = _rows(self._connection, _LEFT_RANGES[which], (*bindings, ts))
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
            for from_ts, to_ts, body in _rows(
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
            for at, writes in _rows(
                self._connection,
                "SELECT ts, writes FROM log WHERE ts > ? ORDER BY ts LIMIT ?",
                (ts, limit),
            )
        ]

    def call(self, call_id: str) -> CallRecord | None:
        """The record of a call."""
        rows = _rows(
            self._connection, "SELECT ts, outcome FROM calls WHERE id = ?", (call_id,)
        )
        return CallRecord(Timestamp(rows[0][0]), rows[0][1]) if rows else None

    def count(self, index_id: int) -> int:
        """How many entries an index has."""
        counted: int = _scalar(
            self._connection,
            "SELECT count(*) FROM index_entries WHERE index_id = ?",
            (index_id,),
        )
        return counted

    def close(self) -> None:
        """End the transaction."""
        if self._pinned and self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SqlitePersistence:
    """The writer's store in a folder, which it locks for its whole life.

    Args:
        folder: the deployment's folder; made if missing.
        on_waiting: told once when another writer holds the folder.
        fault: called with the name of each point where a crash would matter.
    """

    def __init__(
        self,
        folder: Path,
        *,
        on_waiting: Callable[[], None] = lambda: None,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        require_local_disk(folder)
        self._fault = fault
        self._folder = folder
        self._lock = FolderLock(folder, on_waiting=on_waiting)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        path = self._folder / STORE_FILE
        readwrite = apsw.SQLITE_OPEN_READWRITE
        self._write = _connect(path, flags=readwrite | apsw.SQLITE_OPEN_CREATE)
        self._prepare_writer(path)
        self._read = _connect(path, flags=apsw.SQLITE_OPEN_READONLY)
        self._writing_head = SqliteSnapshot(self._write, pinned=False)
        self._reading_head = SqliteSnapshot(self._read, pinned=False)
        self._is_applied = False
        self._next_row = 1 + (
            _scalar(self._write, "SELECT max(row) FROM documents") or 0
        )
        self._next_history = 1 + (
            _scalar(self._write, "SELECT max(row) FROM history") or 0
        )
        self._checkpointer = Checkpointer(path)

    def _prepare_writer(self, path: Path) -> None:
        execute = self._write.execute
        mode = _scalar(self._write, "PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise Unavailable(
                f"{path} cannot be opened in WAL mode ({mode}): its file system has no "
                "shared memory or locks. Put the deployment on a local disk."
            )
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA wal_autocheckpoint = 0")
        if sys.platform == "darwin":
            execute("PRAGMA fullfsync = 1")
        with self._write:
            tables = resources.files("convexlab.engine.persistence") / "tables.sql"
            execute(tables.read_text(encoding="utf-8"))
            execute(
                "INSERT OR IGNORE INTO meta VALUES (1, ?, 0, 0, 0, 0, 0, 0)", (FORMAT,)
            )
        check_format(self._write)

    # -- reading --------------------------------------------------------------

    def snapshot(self) -> SqliteSnapshot:
        """Everything flushed so far, on a connection of its own."""
        path = self._folder / STORE_FILE
        connection = _connect(path, flags=apsw.SQLITE_OPEN_READONLY)
        return _OwnSnapshot.begin(connection)

    def head(self) -> SqliteSnapshot:
        """The writing connection, or the reading one while a flush has that: Q2."""
        return self._reading_head if self._is_applied else self._writing_head

    def close(self) -> None:
        """Close the connections, checkpoint, and let the folder go."""
        self._checkpointer.close()
        self._read.close()
        if self._write.in_transaction:
            self._write.execute("ROLLBACK")
        _rows(self._write, "PRAGMA wal_checkpoint(TRUNCATE)")
        self._write.close()
        self._lock.release()

    # -- writing --------------------------------------------------------------

    def apply(self, commits: Sequence[Commit]) -> None:
        """Run a group's statements, all or none: Q1."""
        assert not self._is_applied, "the group before is not settled"
        self._checkpointer.finish_on(self._write)
        self._write.execute("BEGIN IMMEDIATE")
        try:
            self._run(commits)
        except BaseException:
            self._write.execute("ROLLBACK")
            raise
        self._is_applied = True
        self._fault("persistence.applied")

    def _run(self, commits: Sequence[Commit]) -> None:
        rows = _GroupRows(self._next_row, self._next_history)
        for commit in commits:
            rows.add(commit)
        rows.write(self._write)
        self._next_row, self._next_history = rows.next_row, rows.next_history

    def flush(self) -> None:
        """COMMIT, with its fsync; any thread."""
        assert self._is_applied, "nothing is applied"
        self._write.execute("COMMIT")
        self._fault("persistence.flushed")
        self._checkpointer.wake()

    def settled(self) -> None:
        """The writing connection is free again: Q2."""
        assert not self._write.in_transaction, "the group is not flushed"
        self._is_applied = False

    # -- retention ------------------------------------------------------------

    def trim(self, plan: TrimPlan) -> Trimmed:
        """One slice of what is past retention."""
        assert not self._is_applied, "a group is on its way"
        trimmed = Trimmed()
        with self._write:
            trimmed.log = self._trim_log(plan)
            trimmed.history = self._trim_history(plan)
            trimmed.calls = self._trim_calls(plan)
        return trimmed

    def _trim_log(self, plan: TrimPlan) -> int:
        through = _scalar(
            self._write,
            "SELECT max(ts) FROM (SELECT ts FROM log WHERE ts <= ? ORDER BY ts LIMIT ?)",
            (plan.log_before, plan.limit),
        )
        if through is None:
            return 0
        self._write.execute("DELETE FROM log WHERE ts <= ?", (through,))
        count = self._write.changes()
        self._write.execute("UPDATE meta SET log_from = ?", (through,))
        return count

    def _trim_history(self, plan: TrimPlan) -> int:
        # History rows are appended in the order of to_ts: the oldest come first.
        oldest = _scalar(self._write, "SELECT to_ts FROM history ORDER BY row LIMIT 1")
        if oldest is None or oldest > plan.history_before:
            return 0
        rows = _rows(
            self._write,
            "SELECT row, from_ts, to_ts, octet_length(body), keys FROM history"
            " WHERE to_ts <= ? ORDER BY row LIMIT ?",
            (plan.history_before, plan.limit),
        )
        self._write.executemany(
            "DELETE FROM left_entries WHERE index_id = ? AND key = ? AND to_ts = ?",
            [(i, k, row[2]) for row in rows for i, k in _decode_keys(row[4])],
        )
        self._write.executemany(
            "DELETE FROM history WHERE row = ?", [(row[0],) for row in rows]
        )
        self._write.execute(
            "UPDATE meta SET history_from = max(history_from, ?),"
            " history_bytes = history_bytes - ?",
            (max(row[2] for row in rows), sum(row[3] for row in rows)),
        )
        return len(rows)

    def _trim_calls(self, plan: TrimPlan) -> int:
        count = 0
        for is_session, before in (0, plan.log_before), (1, plan.calls_before):
            self._write.execute(
                "DELETE FROM calls WHERE id IN (SELECT id FROM calls"
                " WHERE is_session = ? AND ts <= ? ORDER BY ts LIMIT ?)",
                (is_session, before, plan.limit),
            )
            count += self._write.changes()
        return count

    def sweep_entries(self, index_id: int, *, limit: int) -> int:
        """Some entries of a dropped index."""
        assert not self._is_applied, "a group is on its way"
        self._write.execute(
            "DELETE FROM index_entries WHERE index_id = ?1 AND key IN"
            " (SELECT key FROM index_entries WHERE index_id = ?1 LIMIT ?2)",
            (index_id, limit),
        )
        return self._write.changes()

    def check(self) -> None:
        """SQLite's own check, and what can be checked without a catalog."""
        check_store(self._write)

    @property
    def wal_bytes(self) -> int:
        """The WAL's size, for benchmarks and the status card."""
        wal = self._folder / f"{STORE_FILE}-wal"
        return wal.stat().st_size if wal.exists() else 0


class _OwnSnapshot(SqliteSnapshot):
    """A snapshot that closes its connection too."""

    __slots__ = ()

    def close(self) -> None:
        self._connection.close()


class _GroupRows:
    """A group's commits as rows, each place written once whatever the group did."""

    def __init__(self, next_row: int, next_history: int) -> None:
        self._first_row = next_row
        self.next_row = next_row
        self.next_history = next_history
        self._documents: dict[int, Revision | None] = {}
        # By index, so that sorting compares keys alone; row 0: gone.
        self._entries: dict[int, dict[bytes, int]] = {}
        self._history: list[tuple[int, int, bytes, int, int, bytes, bytes]] = []
        self._left: list[tuple[int, bytes, int]] = []
        self._history_bytes = 0
        self._log: list[tuple[int, bytes]] = []
        self._calls: list[tuple[str, int, bytes, bool]] = []
        self._last = self._catalog = self._modules = 0

    def add(self, commit: Commit) -> None:
        """Add the next commit."""
        ts = commit.ts
        for write in commit.writes:
            self._add_write(write, ts)
        for place, revision in commit.added_entries:
            self._point((place,), revision.row)
        if commit.call_id is not None:
            self._calls.append(
                (commit.call_id, ts, commit.outcome, is_session_call(commit.call_id))
            )
        if commit.writes:
            self._log.append((ts, encode_writes(commit.writes)))
            self._last = ts
            self._catalog = ts if commit.changes_catalog else self._catalog
            self._modules = ts if commit.changes_modules else self._modules

    def _point(self, places: Sequence[IndexKey], row: int) -> None:
        entries = self._entries
        for index_id, key in places:
            keys = entries.get(index_id)
            if keys is None:
                keys = entries[index_id] = {}
            keys[key] = row

    def _add_write(self, write: DocumentWrite, ts: Timestamp) -> None:
        old, new = write.old, write.new
        if old is None:
            assert new is not None, write
            row = new.row = self.next_row
            self.next_row += 1
            self._point(write.new_keys, row)
            self._documents[row] = new
            return
        row = old.row
        assert row, old
        self._documents[row] = new
        left: IndexKeys = ()
        if new is None:
            left = write.old_keys
        else:
            new.row = row
            if write.old_keys != write.new_keys:
                before, after = write.old_keys, write.new_keys
                left = tuple([place for place in before if place not in after])
                self._point([place for place in after if place not in before], row)
        self._point(left, 0)
        if write.keep_history:
            self._add_history(write, old, ts)
            self._left.extend([(index_id, key, ts) for index_id, key in left])

    def _add_history(self, write: DocumentWrite, old: Revision, ts: int) -> None:
        keys = _encode_keys(write.old_keys)
        self._history.append(
            (self.next_history, write.table, write.id, old.ts, ts, old.body, keys)
        )
        self._history_bytes += len(old.body)
        self.next_history += 1

    def write(self, connection: apsw.Connection) -> None:
        """Run the statements."""
        self._write_documents(connection)
        self._write_entries(connection)
        self._write_history(connection)
        _many(connection, "INSERT INTO log VALUES (?, ?)", self._log)
        _many(
            connection, "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?)", self._calls
        )
        connection.execute(
            "UPDATE meta SET last_ts = max(last_ts, ?),"
            " catalog_ts = max(catalog_ts, ?), modules_ts = max(modules_ts, ?),"
            " history_bytes = history_bytes + ?",
            (self._last, self._catalog, self._modules, self._history_bytes),
        )

    def _write_documents(self, connection: apsw.Connection) -> None:
        first_row = self._first_row
        documents = self._documents.items()
        _many(
            connection,
            "INSERT INTO documents VALUES (?, ?, ?, CAST(? AS TEXT))",
            [
                (row, d.table, d.ts, d.body)
                for row, d in documents
                if row >= first_row and d is not None
            ],
        )
        _many(
            connection,
            "UPDATE documents SET ts = ?, body = CAST(? AS TEXT) WHERE row = ?",
            [
                (d.ts, d.body, row)
                for row, d in documents
                if row < first_row and d is not None
            ],
        )
        _many(
            connection,
            "DELETE FROM documents WHERE row = ?",
            [(row,) for row, d in documents if d is None and row < first_row],
        )

    def _write_entries(self, connection: apsw.Connection) -> None:
        entries = sorted(self._entries.items(), key=_first)
        _many(
            connection,
            "DELETE FROM index_entries WHERE index_id = ? AND key = ?",
            [(i, key) for i, keys in entries for key, row in keys.items() if not row],
        )
        _many(
            connection,
            "INSERT OR REPLACE INTO index_entries VALUES (?, ?, ?)",
            [
                (i, key, row)
                for i, keys in entries
                for key in sorted(keys)
                if (row := keys[key])
            ],
        )

    def _write_history(self, connection: apsw.Connection) -> None:
        _many(
            connection,
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), ?)",
            self._history,
        )
        _many(
            connection,
            "INSERT OR REPLACE INTO left_entries VALUES (?, ?, ?)",
            sorted(self._left),
        )


def _first(item: tuple[int, Any]) -> int:
    return item[0]


def _many(connection: apsw.Connection, sql: str, rows: Sequence[Any]) -> None:
    if rows:
        connection.executemany(sql, rows)


class Checkpointer:
    """The thread that copies the WAL back into the file, so that it stays short.

    Passive checkpoints never wait and are never waited for, but while groups keep
    coming they never catch up either, and a WAL that is not all copied grows. So
    when little is left the writer copies that itself, and the WAL begins anew.

    Attributes:
        backlog: frames not copied yet; *set by* each checkpoint.
        frames: the WAL's length in frames; likewise.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path, flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        # N.B. a connection that has not read yet checkpoints nothing.
        _scalar(self._connection, "SELECT format FROM meta")
        self.frames = 0
        self.backlog = 0
        self._is_closing = False
        self._work = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="convexlab-checkpointer", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """A group was flushed: there is something to copy."""
        self._work.set()

    def _run(self) -> None:
        while True:
            self._work.wait()
            if self._is_closing:
                return
            self._work.clear()
            self._checkpoint(self._connection)

    def _checkpoint(self, connection: apsw.Connection) -> None:
        try:
            frames, copied = connection.wal_checkpoint(
                mode=apsw.SQLITE_CHECKPOINT_PASSIVE
            )
        except apsw.BusyError:
            return  # the other one is at it
        self.frames, self.backlog = frames, frames - copied

    def finish_on(self, connection: apsw.Connection) -> None:
        """Between two groups, on the writing connection: copy the little rest."""
        if (
            self.frames >= knobs.WAL_RESTART_FRAMES
            and self.backlog <= knobs.WAL_REST_FRAMES
        ):
            self._checkpoint(connection)
            if not self.backlog:
                self.frames = 0

    def close(self) -> None:
        """End the thread."""
        self._is_closing = True
        self._work.set()
        self._thread.join()
        self._connection.close()


def check_store(connection: apsw.Connection) -> None:
    """Assert P2 to P4, as far as rows alone show them."""

    def none(what: str, sql: str) -> None:
        found = connection.execute(sql + " LIMIT 3").fetchall()
        assert not found, f"{what}: {found}"

    result = _scalar(connection, "PRAGMA integrity_check")
    assert result == "ok", result
    # Entries of a dropped index go later than their documents: slots 0 and 1 only.
    none(
        "entries without a document",
        "SELECT e.index_id, e.key FROM index_entries e"
        " LEFT JOIN documents d ON d.row = e.document"
        " AND d.table_id = e.index_id >> 16"
        " WHERE e.index_id & 65535 < 2 AND d.row IS NULL",
    )
    none(
        "documents without their two entries",
        "SELECT table_id, count(*) AS n FROM documents GROUP BY table_id HAVING 2 * n"
        " != (SELECT count(*) FROM index_entries WHERE index_id & 65535 < 2"
        " AND index_id >> 16 = table_id)",
    )
    none(
        "documents of one table and unequal index sizes",
        "SELECT index_id >> 16 AS t, min(n), max(n) FROM (SELECT index_id, count(*)"
        " AS n FROM index_entries WHERE index_id & 65535 < 2 GROUP BY index_id)"
        " GROUP BY t HAVING min(n) != max(n)",
    )
    none(
        "left entries without their revision",
        "SELECT e.index_id, e.key FROM left_entries e LEFT JOIN history h"
        " ON h.table_id = e.index_id >> 16 AND h.id = substr(e.key, -16)"
        " AND h.to_ts = e.to_ts WHERE h.row IS NULL",
    )
    none("history backwards", "SELECT row FROM history WHERE from_ts >= to_ts")
    none(
        "revisions that are not in the log",
        "SELECT d.row, d.ts FROM documents d, meta WHERE d.ts > meta.log_from"
        " AND d.ts NOT IN (SELECT ts FROM log)",
    )
    none(
        "log beyond the last timestamp",
        "SELECT ts, last_ts FROM log, meta WHERE ts > last_ts OR ts <= log_from",
    )
