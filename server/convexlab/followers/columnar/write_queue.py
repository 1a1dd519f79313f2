"""The write queue: commits on their way into the mirror's file.

They are taken in at once, but written when somebody asks, or they are many: a
transaction of DuckDB's costs as much as hundreds of documents. While the mirror is far
behind, runs that only insert are written in one transaction.

    changes ─▶ pending ── shredded ─▶ waiting ── put ─▶ the file
              (the thread that follows)   (a thread of its own, or who reads)

A few runs may wait: when a row group is full, DuckDB compresses it for half a second.
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
from convexlab.followers.columnar.shredding import are_same
from convexlab.followers.columnar.writes import TableWrite, applying

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    import duckdb

    from convexlab.followers.columnar.file import MirrorFile
    from convexlab.followers.columnar.tables import MirrorTable
    from convexlab.followers.follower import Change


@dataclass(frozen=True, slots=True)
class _Writes:
    """What a run of commits does: up to when, and to each table by number."""

    to: Timestamp
    tables: dict[int, TableWrite]


class WriteQueue:
    """See the module.

    Args:
        file: what is written, and only while it is held (`holding`).

    Attributes:
        watermark: up to when commits were taken in; the file's own is that of what was
            written.
    """

    def __init__(self, file: MirrorFile) -> None:
        self._file = file
        self.watermark = file.watermark
        # What was taken in since the file's watermark, and how many bytes it has.
        self._pending: list[Change] = []
        self._pending_bytes = 0
        # Of that, what is shredded up to when, not yet written; and the tables as they
        # are once it is.
        self._waiting: deque[_Writes] = deque()
        self._shredded_to = file.watermark
        self._ahead: dict[int, MirrorTable] = {}
        self._unsettled = 0  # documents in the file's open transaction
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="columnar writing")
        self._writing: deque[Future[None]] = deque()  # oldest first
        self._failure: Exception | None = None  # of writing: it is begun anew
        self._trim_due = 0
        # Taken in this order, if several are.
        self._turn = threading.Lock()  # of who is next to have the file
        self._lock = threading.Lock()  # of the file and what is known of it
        self._shredding = threading.Lock()  # of what is pending on its way to waiting
        self._noting = threading.Lock()  # of what is pending, and what is waiting

    # -- taken in ------------------------------------------------------------------------

    def take(self, changes: Sequence[Change], to: Timestamp) -> None:
        """Take in commits up to `to`, none having failed; what is many by now is written.

        Raises:
            Exception: it could not be written.
        """
        with self._noting:
            self._pending += changes
            self._pending_bytes += sum(
                len(change.revision.body) for change in changes if change.revision
            )
            self.watermark = to
            waiting, size = len(self._pending), self._pending_bytes
        if self._file.watermark == BEGINNING:
            with self.holding():
                self.write()
        elif (
            waiting > knobs.MIRROR_PENDING_DOCUMENTS
            or size > knobs.MIRROR_PENDING_BYTES
        ):
            self._write_aside(
                is_patient=waiting > knobs.MIRROR_MOST_PENDING_DOCUMENTS
                or size > knobs.MIRROR_MOST_PENDING_BYTES
            )

    def refuse_failed(self) -> None:
        """See that all could be written so far.

        Raises:
            Exception: what could not be.
        """
        if self._failure is not None:
            raise self._failure

    def added(self) -> int:
        """How many more documents there are once all is written."""
        with self._noting:
            return sum(
                (change.revision is not None) - (change.previous_ts != 0)
                for change in self._pending
                if change.table in self._file.tables
            ) + sum(
                write.added for each in self._waiting for write in each.tables.values()
            )

    # -- written aside -------------------------------------------------------------------

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
            with self.holding():
                self._put_waiting(1, is_behind=is_behind)
        except Exception:  # noqa: BLE001 - whoever comes next is told
            traceback.print_exc()

    # -- written for whoever holds the file ----------------------------------------------

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The file; N.B. one after another, or who reads would wait for all that waits."""
        with self._turn:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def changing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction after what is pending."""
        with self.holding():
            self.write()
            self._ahead.clear()
            with self._file.changing() as connection:
                yield connection

    def write(self) -> None:
        """Write what is pending; the file is held.

        Raises:
            Exception: it could not be written, now or before.
        """
        self._shred()
        self._put_waiting(None)
        with self.failing():
            self._file.settle()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """What fails here is told to all who come: what is known may be half."""
        try:
            yield
        except Exception as error:
            self._failure = error
            raise

    def _shred(self) -> None:
        """Let what is pending wait to be written.

        Raises:
            Exception: something could not be written.
        """
        with self._shredding:
            self.refuse_failed()
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
            with self.failing():
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
        """Write so many of the runs that wait, or all; the file is held.

        Raises:
            Exception: one could not be written, now or before.
        """
        while most is None or most > 0:
            self.refuse_failed()
            with self._noting:
                if not self._waiting:
                    return
                next_ = self._waiting.popleft()
            self._put(next_.to, next_.tables, is_behind=is_behind)
            most = None if most is None else most - 1

    def _put(
        self, to: Timestamp, writes: dict[int, TableWrite], *, is_behind: bool = False
    ) -> None:
        with self.failing():
            stays_open = is_behind and self._only_insert(writes)
            if not stays_open:
                self._file.settle()
            with self._file.changing(stays_open=stays_open) as connection:
                for number, write in writes.items():
                    self._file.tables[number].write(connection, write)
                    self._unsettled += write.begun.num_rows
                    self._file.fresh += write.begun.num_rows
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

    def _trim(self, connection: duckdb.DuckDBPyConnection, to: Timestamp) -> None:
        """Forget, now and then, what the store does not keep either."""
        if to < self._trim_due:
            return
        self._trim_due = to + int(knobs.MIRROR_TRIM_SECONDS * 1e9)
        before = to - int(knobs.HISTORY_RETENTION_SECONDS * 1e9)
        for table in self._file.tables.values():
            if before > table.exact_from:
                table.trim(connection, before)

    # -- begun anew, and ended -----------------------------------------------------------

    def forget(self) -> None:
        """The file, which is held, is a new one: nothing is on its way to it."""
        with self._noting:
            self._pending, self._pending_bytes = [], 0
            self._waiting.clear()
            self._ahead.clear()
            self._unsettled, self._failure = 0, None
            self.watermark = self._shredded_to = BEGINNING

    def stop(self) -> None:
        """End its thread, once what that has begun is written."""
        self._writer.shutdown()
