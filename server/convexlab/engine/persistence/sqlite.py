"""The store on SQLite: one file, written by one connection, read by many.

The writer holds three connections: one writes, one is what mutations read from, one
checkpoints; none ever waits for a reader, nor a mutation for a group. A group is one
SQLite transaction: `apply` runs its statements where the mutations run, `flush` is
the COMMIT with its fsync, alone worth a second thread. Readers, here or in other
processes, open the file read-only and see a group whole or not at all.

The WAL is kept short without ever waiting: a thread copies it back passively
while groups go on, and when what is left is little the writer copies the rest
between two groups, so that the next group begins the WAL anew.

Invariants
    Q1  Statements of a group run between BEGIN IMMEDIATE and the COMMIT of its
        flush, on the writing connection alone.
    Q2  Only groups, and what goes between two of them, use the writing connection.
    Q3  What the disk has no room for, or another program locks out, is taken back
        whole, and the store goes on.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from importlib import resources
from typing import TYPE_CHECKING

import apsw

from convexlab.engine.persistence.checkpoints import Checkpointer
from convexlab.engine.persistence.contract import Trimmed
from convexlab.engine.persistence.folder import FolderLock, require_local_disk
from convexlab.engine.persistence.sqlite_check import check_store
from convexlab.engine.persistence.sqlite_reads import (
    FORMAT,
    FORMATS_BEFORE,
    STORE_FILE,
    OwnSnapshot,
    SqliteReader,
    SqliteSnapshot,
    check_format,
    connect,
    decode_keys,
    fetch,
    scalar,
)
from convexlab.engine.persistence.sqlite_rows import GroupRows
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from convexlab.engine.persistence.contract import Commit, TrimPlan


def open_reader(folder: Path) -> SqliteReader:
    """Open a deployment's store for reading; its writer must have opened it once."""
    return SqliteReader(folder)


def is_full(error: BaseException) -> bool:
    """Whether a write found no room: the disk, a quota or a limit of the process."""
    extended = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.FullError) or extended in (
        apsw.SQLITE_IOERR_WRITE,
        apsw.SQLITE_IOERR_SHMSIZE,
    )


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
        except BaseException as error:
            self._lock.release()
            if is_full(error):
                raise self._full(error) from error
            raise

    def _open(self) -> None:
        path = self._folder / STORE_FILE
        readwrite = apsw.SQLITE_OPEN_READWRITE
        self._write = connect(path, flags=readwrite | apsw.SQLITE_OPEN_CREATE)
        self._prepare_writer(path)
        self._read = connect(path, flags=apsw.SQLITE_OPEN_READONLY)
        # N.B. SQLite lets go of the whole mapping whenever another connection has
        # committed, which is after each group: copying single pages costs less.
        self._read.execute("PRAGMA mmap_size = 0")
        self._head = SqliteSnapshot(self._read)
        self._is_applied = False
        self._next_row = 1 + (
            scalar(self._write, "SELECT max(row) FROM documents") or 0
        )
        self._next_history = 1 + (
            scalar(self._write, "SELECT max(row) FROM history") or 0
        )
        self.checkpointer = Checkpointer(path)
        self.checkpointer.follow(self._write)

    def _prepare_writer(self, path: Path) -> None:
        execute = self._write.execute
        mode = scalar(self._write, "PRAGMA journal_mode = WAL")
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
            for before in FORMATS_BEFORE:
                execute("UPDATE meta SET format = ? WHERE format = ?", (FORMAT, before))
        check_format(self._write)

    # -- reading --------------------------------------------------------------

    def snapshot(self) -> SqliteSnapshot:
        """Everything flushed so far, on a connection of its own."""
        path = self._folder / STORE_FILE
        connection = connect(path, flags=apsw.SQLITE_OPEN_READONLY)
        return OwnSnapshot.begin(connection)

    def head(self) -> SqliteSnapshot:
        """What is flushed, or will be in a moment; whatever a group is at: Q2."""
        return self._head

    def close(self) -> None:
        """Close the connections, checkpoint, and let the folder go."""
        self.checkpointer.close()
        self._read.close()
        if self._write.in_transaction:
            self._write.execute("ROLLBACK")
        self._write.set_busy_timeout(
            0
        )  # a reader that is still at it is not waited for
        with suppress(apsw.FullError, apsw.IOError):  # the next to open it does it
            fetch(self._write, "PRAGMA wal_checkpoint(TRUNCATE)")
        self._write.close()
        self._lock.release()

    # -- writing --------------------------------------------------------------

    def apply(self, commits: Sequence[Commit]) -> None:
        """Run a group's statements, all or none: Q1.

        Raises:
            Unavailable: the disk is full: Q3.
        """
        assert not self._is_applied, "the group before is not settled"
        self.checkpointer.finish_on(self._write)
        with self._whole_or_not_at_all():
            self._write.execute("BEGIN IMMEDIATE")
            self._run(commits)
        self._is_applied = True
        self._fault("persistence.applied")

    def _run(self, commits: Sequence[Commit]) -> None:
        rows = GroupRows(self._next_row, self._next_history)
        for commit in commits:
            rows.add(commit)
        rows.write(self._write)
        self._next_row, self._next_history = rows.next_row, rows.next_history

    def flush(self) -> None:
        """COMMIT, with its fsync; any thread.

        Raises:
            Unavailable: the disk is full: Q3.
        """
        assert self._is_applied, "nothing is applied"
        with self._whole_or_not_at_all():
            self._write.execute("COMMIT")
        self._fault("persistence.flushed")

    def settled(self) -> None:
        """The writing connection is free again: Q2."""
        assert not self._write.in_transaction, "the group is not flushed"
        self._is_applied = False

    @contextmanager
    def _whole_or_not_at_all(self) -> Iterator[None]:
        """Q3. N.B. on a full disk SQLite may have rolled back already."""
        try:
            yield
        except BaseException as error:
            if self._write.in_transaction:
                self._write.execute("ROLLBACK")
            if is_full(error):
                raise self._full(error) from error
            if isinstance(error, apsw.BusyError):
                raise Unavailable(
                    f"Another program has locked {self._folder / STORE_FILE}: nothing "
                    "was written. End its transaction and try again."
                ) from error
            raise

    def _full(self, error: BaseException) -> Unavailable:
        return Unavailable(
            f"The disk that holds {self._folder} is full or takes no more "
            f"({error}): nothing was written. Make room on it and try again."
        )

    # -- retention ------------------------------------------------------------

    def trim(self, plan: TrimPlan) -> Trimmed:
        """One slice of what is past retention."""
        assert not self._is_applied, "a group is on its way"
        trimmed = Trimmed()
        with self._not_waiting_for_the_disk():
            trimmed.log = self._trim_log(plan)
            trimmed.history = self._trim_history(plan)
            trimmed.calls = self._trim_calls(plan)
        return trimmed

    @contextmanager
    def _not_waiting_for_the_disk(self) -> Iterator[None]:
        """A transaction without an fsync: whole, and durable with the next group.

        What is taken away so may be there again after a crash, to be taken again.
        """
        self._write.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._whole_or_not_at_all():
                self._write.execute("BEGIN IMMEDIATE")
                yield
                self._write.execute("COMMIT")
        finally:
            self._write.execute("PRAGMA synchronous = FULL")
        self.checkpointer.wake()

    def _trim_log(self, plan: TrimPlan) -> int:
        through = scalar(
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
        oldest = scalar(self._write, "SELECT to_ts FROM history ORDER BY row LIMIT 1")
        if oldest is None or oldest > plan.history_before:
            return 0
        rows = fetch(
            self._write,
            "SELECT row, from_ts, to_ts, octet_length(body), keys FROM history"
            " WHERE to_ts <= ? ORDER BY row LIMIT ?",
            (plan.history_before, plan.limit),
        )
        self._write.executemany(
            "DELETE FROM left_entries WHERE index_id = ? AND key = ? AND to_ts = ?",
            [(i, k, row[2]) for row in rows for i, k in decode_keys(row[4])],
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
        self._write.execute(
            "DELETE FROM calls WHERE id IN (SELECT id FROM calls"
            " WHERE ts <= ? ORDER BY ts LIMIT ?)",
            (plan.calls_before, plan.limit),
        )
        return self._write.changes()

    def sweep_entries(self, index_id: int, *, limit: int) -> int:
        """Some entries of a dropped index."""
        assert not self._is_applied, "a group is on its way"
        with self._not_waiting_for_the_disk():
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
