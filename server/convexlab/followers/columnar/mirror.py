"""The mirror: a follower that keeps every table's documents in columns.

One DuckDB file beside the store (`file`). Commits are taken in at once, but written when
somebody asks, or they are many: a transaction of DuckDB's costs as much as hundreds of
documents, and what is asked again after each commit is mostly an aggregate, into which
commits are folded without it (`folded`). While it is far behind, runs that only insert
are written in one transaction.

    changes ─▶ pending ── shredded ─▶ waiting ── put ─▶ the file
              (the thread that follows)   (a thread of its own, or who reads)

A few runs may wait: when a row group is full, DuckDB compresses it for half a second.

A reader's statement sees one state of the file as of the moment it asks about
(`reading`).

Invariants
    M1  Table by table, the current rows are the documents as of the watermark, once
        what is pending is written; the file's own watermark is that of what was.
    M2  As of a moment from `exact_from` on, current and superseded rows that were
        current then are the documents of then.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.followers.columnar.building import Building
from convexlab.followers.columnar.damage import refuse_damaged
from convexlab.followers.columnar.file import MirrorFile
from convexlab.followers.columnar.folded import Folded
from convexlab.followers.columnar.reading import Reading
from convexlab.followers.columnar.shredding import are_same
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.columnar.writes import TableWrite, applying

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import duckdb

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change


@dataclass(frozen=True, slots=True)
class _Writes:
    """What a run of commits does: up to when, and to each table by number."""

    to: Timestamp
    tables: dict[int, TableWrite]


class Mirror:
    """The follower `columnar`.

    Args:
        path: of its file, made if missing; None keeps it in memory.
        handlers: what answers a request, by its kind.
        let_go: drops what the handlers keep and nobody has asked about lately, through a
            connection in no transaction.
    """

    name = "columnar"

    def __init__(
        self,
        path: Path | None,
        handlers: dict[str, Callable[[Reading, bytes], bytes]] | None = None,
        let_go: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
    ) -> None:
        self._file = MirrorFile(path)
        self.damage = self._file.damage
        self.watermark = self._file.watermark
        self.names: dict[str, int] = {}
        self._handlers = handlers or {}
        self._let_go = let_go
        self._folded = Folded()
        # What was taken in since the file's watermark, and how many bytes it has.
        self._pending: list[Change] = []
        self._pending_bytes = 0
        # Of that, what is shredded up to when, not yet written; and the tables as they
        # are once it is.
        self._waiting: deque[_Writes] = deque()
        self._shredded_to = self._file.watermark
        self._ahead: dict[int, MirrorTable] = {}
        self._unsettled = 0  # documents in the file's open transaction
        self._fresh = 0  # documents that came since the file was opened
        self._readers = 0  # connections that read it
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="columnar writing")
        self._writing: deque[Future[None]] = deque()  # oldest first
        self._failure: Exception | None = None  # of writing: it is begun anew
        self._building: Building | None = None  # the table that is being taken in
        self._trim_due = 0
        # Taken in this order, if several are.
        self._turn = threading.Lock()  # of who is next to have the file
        self._lock = threading.Lock()  # of the file and what is known of it
        self._shredding = threading.Lock()  # of what is pending on its way to waiting
        self._noting = threading.Lock()  # of what is pending, and what is waiting

    # -- following ---------------------------------------------------------------------

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        tables = catalog.user_tables()
        with self._changing() as connection:
            self.names = {table.name: table.number for table in tables}
            for number in self._file.tables.keys() - set(self.names.values()):
                self._file.tables.pop(number).drop(connection)
            new = [table for table in tables if table.number not in self._file.tables]
            for table in new:
                made = self._file.tables[table.number] = MirrorTable(table.number)
                made.create(connection)
            for table in tables:
                self._file.tables[table.number].id_number = table.id_number
        return new

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        if self._building is None:
            self._building = Building(
                self._file.connection, self._file.tables[table.number]
            )
        self._building.take(revisions)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        building, self._building = self._building, None
        if building is not None:
            building.finish()
        with self._changing():
            built = self._file.tables[table.number]
            built.began_at(self.watermark)
            built.is_whole = True
            self._fresh += built.rows

    @property
    def folded_tables(self) -> Collection[int]:
        """See `Folds`."""
        return self._folded.tables

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        if self.watermark == BEGINNING:
            for table in self._file.tables.values():
                table.began_at(to)
        with self._noting:
            if self._failure is not None:
                raise self._failure
            self._folded.note(changes, to)
            self._pending += changes
            self._pending_bytes += sum(
                len(change.revision.body) for change in changes if change.revision
            )
            self.watermark = to
            waiting, size = len(self._pending), self._pending_bytes
        if self._file.watermark == BEGINNING:
            with self._holding():
                self._write()
        elif (
            waiting > knobs.MIRROR_PENDING_DOCUMENTS
            or size > knobs.MIRROR_PENDING_BYTES
        ):
            self._write_aside(
                is_patient=waiting > knobs.MIRROR_MOST_PENDING_DOCUMENTS
                or size > knobs.MIRROR_MOST_PENDING_BYTES
            )

    def _write_aside(self, *, is_patient: bool) -> None:
        """Let DuckDB write on a thread of its own.

        Meanwhile what is folded is answered, and the next commits are read and shredded.

        Args:
            is_patient: it is far behind, so wait until few runs wait; otherwise this is
                done another time.
        """
        self._settle_writing(knobs.MIRROR_WAITING_RUNS)
        if self._writing and not is_patient:
            return
        self._shred()
        self._writing.append(self._writer.submit(self._put_next, is_patient))

    def _settle_writing(self, left: int) -> None:
        """Wait until no more than so many runs are being written."""
        while self._writing and (len(self._writing) > left or self._writing[0].done()):
            self._writing.popleft().result()

    def _put_next(self, is_behind: bool) -> None:
        try:
            with self._holding():
                self._put_waiting(1, is_behind=is_behind)
        except Exception:  # noqa: BLE001 - whoever comes next is told
            traceback.print_exc()

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """The file; N.B. one after another, or who reads would wait for all that waits."""
        with self._turn:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _write(self) -> None:
        """Write what is pending; the lock is held.

        Raises:
            Exception: it could not be written, now or before.
        """
        self._shred()
        self._put_waiting(None)
        with self._failing():
            self._file.settle()

    def _shred(self) -> None:
        """Let what is pending wait to be written.

        Raises:
            Exception: something could not be written.
        """
        with self._shredding:
            if self._failure is not None:
                raise self._failure
            with self._noting:
                changes, self._pending = self._pending, []
                self._pending_bytes = 0
                to = self.watermark
            if to == self._shredded_to:
                return
            by_table: dict[int, list[Change]] = {}
            for change in changes:
                if change.table in self._file.tables:
                    by_table.setdefault(change.table, []).append(change)
            with self._failing():
                writes = {
                    number: self._applied(number, of) for number, of in by_table.items()
                }
            self._shredded_to = to
            with self._noting:
                self._waiting.append(_Writes(to, writes))

    def _applied(self, number: int, changes: Sequence[Change]) -> TableWrite:
        table = self._ahead.get(number) or replace(self._file.tables[number])
        write = applying(table, changes)
        self._ahead[number] = table.after(write)
        return write

    def _put_waiting(self, most: int | None, *, is_behind: bool = False) -> None:
        """Write so many of the runs that wait, or all; the lock is held.

        Raises:
            Exception: one could not be written, now or before.
        """
        while most is None or most > 0:
            if self._failure is not None:
                raise self._failure
            with self._noting:
                if not self._waiting:
                    return
                next_ = self._waiting.popleft()
            self._put(next_.to, next_.tables, is_behind=is_behind)
            most = None if most is None else most - 1

    def _put(
        self, to: Timestamp, writes: dict[int, TableWrite], *, is_behind: bool = False
    ) -> None:
        with self._failing():
            stays_open = is_behind and self._only_insert(writes)
            if not stays_open:
                self._file.settle()
            with self._file.changing(stays_open=stays_open) as connection:
                for number, write in writes.items():
                    self._file.tables[number].write(connection, write)
                    self._unsettled += write.begun.num_rows
                    self._fresh += write.begun.num_rows
                self._trim(connection, to)
                self._file.watermark = to
            if self._unsettled > knobs.MIRROR_UNSETTLED_DOCUMENTS:
                self._file.settle()
            if not self._file.is_open:
                self._unsettled = 0

    def _only_insert(self, writes: dict[int, TableWrite]) -> bool:
        """Whether they add rows to tables that stay as they are, and do nothing else."""
        return all(
            write.only_begins
            and are_same(self._file.tables[number].columns, write.columns)
            for number, write in writes.items()
        )

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What fails here is told to all who come: what is known may be half."""
        try:
            yield
        except Exception as error:
            self._failure = error
            raise

    def _trim(self, connection: duckdb.DuckDBPyConnection, to: Timestamp) -> None:
        """Forget, now and then, what the store does not keep either."""
        if to < self._trim_due:
            return
        self._trim_due = to + int(knobs.MIRROR_TRIM_SECONDS * 1e9)
        before = to - int(knobs.HISTORY_RETENTION_SECONDS * 1e9)
        for table in self._file.tables.values():
            if before > table.exact_from:
                table.trim(connection, before)

    @contextmanager
    def _changing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction after what is pending."""
        with self._holding():
            self._write()
            self._ahead.clear()
            with self._file.changing() as connection:
                yield connection

    def forget(self) -> None:
        """See `Follower.forget`."""
        with self._holding():
            self._folded.forget()
            self._abandon()
            self._file.begin_again()
            with self._noting:
                self._pending, self._pending_bytes = [], 0
                self._waiting.clear()
                self._ahead.clear()
                self._unsettled, self._fresh, self._failure = 0, 0, None
                self.watermark = self._shredded_to = BEGINNING

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        with self._holding():
            self._write()
            self._file.checkpoint()
            is_busy = self._readers > 0 or self._building is not None
            if self._fresh >= knobs.MIRROR_FRESH_DOCUMENTS and not is_busy:
                with self._failing():
                    if self._file.reopen():
                        self._fresh = 0

    def let_go(self) -> None:
        """See `Keeps`."""
        if self._let_go is None:
            return
        with self._connected(self._file.beside) as connection:
            self._let_go(connection)

    def close(self) -> None:
        """See `Follower.close`."""
        self._writer.shutdown()
        with self._holding():
            try:
                self._write()
            finally:
                self._abandon()
                self._file.close()

    def _abandon(self) -> None:
        if self._building is not None:
            self._building.abandon()
            self._building = None

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        with self._noting:
            pending = sum(
                (change.revision is not None) - (change.previous_ts != 0)
                for change in self._pending
                if change.table in self._file.tables
            ) + sum(
                write.added for each in self._waiting for write in each.tables.values()
            )
        return {
            "tables": len(self._file.tables),
            "documents": pending
            + sum(table.rows for table in self._file.tables.values()),
            "folds": self._folded.folds,
            "bytes": self._file.bytes,
        }

    # -- answering ----------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: the request's kind, a line end, and its own words."""
        kind, _, body = request.partition(b"\n")
        told = self._folded.recall(body, at)
        if told is not None:
            return told
        import duckdb

        try:
            with self.reading(at) as reading:
                return self._handlers[kind.decode()](reading, body)
        except duckdb.Error as error:
            refuse_damaged(error)
            raise

    @contextmanager
    def reading(self, at: Timestamp) -> Iterator[Reading]:
        """The mirror as of a moment at or before its watermark."""
        tables = dict[str, MirrorTable]()

        def begin() -> duckdb.DuckDBPyConnection:
            self._write()
            connection = self._file.read()
            for name, number in self.names.items():
                if number in self._file.tables:
                    tables[name] = replace(self._file.tables[number])
            return connection

        with self._connected(begin) as connection:
            yield Reading(connection, at, tables, self._folded)

    @contextmanager
    def _connected(
        self, connect: Callable[[], duckdb.DuckDBPyConnection]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Another connection to the file, which stays open as long."""
        with self._holding():
            connection = connect()
            with self._noting:
                self._readers += 1
        try:
            yield connection
        finally:
            connection.close()
            with self._noting:
                self._readers -= 1
