"""The mirror: a follower that keeps every table's documents in columns.

One DuckDB file beside the store. Each run of commits is one transaction of DuckDB's,
with the watermark and what is known of the columns in it, so that the file is at any
moment the mirror as of its watermark. A file that is missing, broken or of another
version is begun anew.

Commits are taken in at once, but written when somebody asks, or they are many: a
transaction of DuckDB's costs as much as hundreds of documents, and what is asked again
after each commit is mostly an aggregate, into which commits are folded without it
(`folded`).

A reader's statement sees one state of the file, which may be newer than the moment
it asks about: then what was superseded since is added and what came since is left
out (`Reading`).

Invariants
    M1  Table by table, the current rows are the documents as of the watermark, once
        what is pending is written; the file's own watermark is that of what was.
    M2  As of a moment from `exact_from` on, current and superseded rows that were
        current then are the documents of then.
"""

from __future__ import annotations

import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp, in_words
from convexlab.errors import OutOfRetention
from convexlab.followers.columnar.building import Building
from convexlab.followers.columnar.folded import Folded
from convexlab.followers.columnar.kinds import quoted
from convexlab.followers.columnar.shredding import Column
from convexlab.followers.columnar.tables import NO_ROWS, MirrorTable
from convexlab.followers.columnar.writes import TableWrite, applying

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from convexlab.engine.catalog import Catalog, TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change

FORMAT: Final = 3
FILE: Final = "columnar.duckdb"
# Up to how many rows of an order DuckDB fetches the documents of these rows alone.
LATE: Final = "late_materialization_max_rows"


class _State(msgspec.Struct):
    """What the file says of itself."""

    format: int
    watermark: int
    tables: dict[int, _TableState]


class _TableState(msgspec.Struct, array_like=True):
    columns: list[Column]
    changed_ts: int
    exact_from: int
    rows: int
    is_whole: bool


class Reading:
    """A connection at one state of the mirror, as of one moment.

    Attributes:
        connection: inside a transaction; to be read only.
        at: the moment.
        tables: by name, as they are in that state.
        by_number: the same, by number.
        folded: the mirror's aggregates that are kept.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        at: Timestamp,
        tables: dict[str, MirrorTable],
        folded: Folded,
    ) -> None:
        self.connection = connection
        self.at = at
        self.tables = tables
        self.folded = folded
        self.by_number = {table.number: table for table in tables.values()}

    def named(self, numbers: dict[str, int]) -> None:
        """Let the tables be those of a catalog; one that is not here yet is empty."""
        self.tables = {name: self.table(number) for name, number in numbers.items()}

    def table(self, number: int) -> MirrorTable:
        """A table by number; one that is not here yet is empty."""
        return self.by_number.get(number) or MirrorTable(number, is_whole=False)

    def source(self, table: MirrorTable, fields: str) -> str:
        """A SELECT of `fields` of the rows as of the moment.

        Raises:
            OutOfRetention: the mirror began later.
        """
        if not table.is_whole:
            return f"SELECT {fields} FROM (SELECT {NO_ROWS}) WHERE false"
        if table.changed_ts <= self.at:
            return f"SELECT {fields} FROM {table.current}"
        if table.exact_from > self.at:
            raise OutOfRetention(
                f"The columnar mirror has no state as of {in_words(self.at)}; "
                f"the oldest that it has is of {in_words(table.exact_from)}."
            )
        at = int(self.at)
        return (
            f"SELECT {fields} FROM {table.current} WHERE _from <= {at} UNION ALL "
            f"SELECT {fields} FROM {table.past} WHERE _from <= {at} AND _to > {at}"
        )


class Mirror:
    """The follower `columnar`.

    Args:
        path: of its file, made if missing; None keeps it in memory.
        handlers: what answers a request, by its kind.
    """

    name = "columnar"

    def __init__(
        self,
        path: Path | None,
        handlers: dict[str, Callable[[Reading, bytes], bytes]] | None = None,
    ) -> None:
        self.watermark: Timestamp = BEGINNING
        self.names: dict[str, int] = {}
        self._path = path
        self._handlers = handlers or {}
        self._tables: dict[int, MirrorTable] = {}
        self._folded = Folded()
        # What was taken in since `_written`, the watermark of the file.
        self._pending: list[Change] = []
        self._written: Timestamp = BEGINNING
        self._writing: threading.Thread | None = None
        self._failure: Exception | None = None  # of writing: it is begun anew
        self._building: Building | None = None  # the table that is being taken in
        self._trim_due = 0
        self._lock = threading.Lock()  # of the file's state and what is known of it
        self._noting = threading.Lock()  # of what is pending; taken after the other
        self._connection = self._open()

    # -- the file -------------------------------------------------------------------

    def _open(self) -> duckdb.DuckDBPyConnection:
        """The file as it was left, or a new one."""
        connection = None
        try:
            connection = self._connect()
            self._load(connection)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it can be made again
            traceback.print_exc()
            if connection is not None:
                connection.close()
            return self._make_anew()
        return connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(str(self._path) if self._path else ":memory:")
        connection.execute("SET enable_external_access = false")
        # N.B. of all connections: those that read are others.
        connection.execute(f"SET GLOBAL {LATE} = {knobs.SCAN_ORDERED_ROWS}")
        connection.execute(f"SET allowed_configs = ['{LATE}']")
        # What is written in small parts is written again with each checkpoint.
        size = knobs.MIRROR_CHECKPOINT_BYTES
        connection.execute(f"SET checkpoint_threshold = '{size} B'")
        groups = knobs.MIRROR_ROW_GROUPS
        connection.execute(f"SET write_buffer_row_group_count = {groups}")
        connection.execute("SET lock_configuration = true")
        return connection

    def _load(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE SCHEMA IF NOT EXISTS store")
        connection.execute("CREATE TABLE IF NOT EXISTS store.state (json VARCHAR)")
        row = connection.execute("SELECT json FROM store.state").fetchone()
        if row is None:
            connection.execute("INSERT INTO store.state VALUES ('')")
            self._save(connection)
            return
        state = msgspec.json.decode(row[0], type=_State)
        if state.format != FORMAT:
            raise ValueError(f"format {state.format}")
        self.watermark = self._written = Timestamp(state.watermark)
        for number, of in state.tables.items():
            columns = {column.name: column for column in of.columns}
            table = MirrorTable(
                number, columns, of.changed_ts, of.exact_from, of.rows, of.is_whole
            )
            if of.is_whole and self.watermark != BEGINNING:
                self._tables[number] = table
            else:  # it was being built
                table.drop(connection)

    def _make_anew(self) -> duckdb.DuckDBPyConnection:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}.wal").unlink(missing_ok=True)
        self.watermark = BEGINNING
        self._tables = {}
        self._pending, self._written, self._failure = [], BEGINNING, None
        connection = self._connect()
        self._load(connection)
        return connection

    def _save(self, connection: duckdb.DuckDBPyConnection) -> None:
        state = _State(
            FORMAT,
            self._written,
            {
                table.number: _TableState(
                    list(table.columns.values()),
                    table.changed_ts,
                    table.exact_from,
                    table.rows,
                    table.is_whole,
                )
                for table in self._tables.values()
            },
        )
        json = msgspec.json.encode(state).decode()
        connection.execute("UPDATE store.state SET json = ?", [json])

    # -- following ---------------------------------------------------------------------

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        tables = catalog.user_tables()
        with self._changing() as connection:
            self.names = {table.name: table.number for table in tables}
            for number in self._tables.keys() - set(self.names.values()):
                self._tables.pop(number).drop(connection)
            new = [table for table in tables if table.number not in self._tables]
            for table in new:
                made = self._tables[table.number] = MirrorTable(table.number)
                made.create(connection)
            for table in tables:
                self._tables[table.number].id_number = table.id_number
        return new

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        if self._building is None:
            self._building = Building(self._connection, self._tables[table.number])
        self._building.take(revisions)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        building, self._building = self._building, None
        if building is not None:
            building.finish()
        with self._changing():
            built = self._tables[table.number]
            built.began_at(self.watermark)
            built.is_whole = True

    @property
    def folded_tables(self) -> Collection[int]:
        """See `Folds`."""
        return self._folded.tables

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        if self.watermark == BEGINNING:
            for table in self._tables.values():
                table.began_at(to)
        with self._noting:
            if self._failure is not None:
                raise self._failure
            self._folded.note(changes, to)
            self._pending += changes
            self.watermark = to
            waiting = len(self._pending)
        if self._written == BEGINNING:
            with self._lock:
                self._write()
        elif waiting > knobs.MIRROR_PENDING_DOCUMENTS:
            self._write_aside(is_patient=waiting > knobs.MIRROR_MOST_PENDING_DOCUMENTS)

    def _write_aside(self, *, is_patient: bool) -> None:
        """Let DuckDB write on a thread of its own.

        Meanwhile what is folded is answered, and the next commits are read.

        Args:
            is_patient: whether to wait for who holds the file; otherwise another time.
        """
        if not self._lock.acquire(blocking=is_patient):
            return
        writes = None
        try:
            writes = self._shredded()
        finally:
            if writes is None:
                self._lock.release()
        if writes is not None:  # the thread has the lock now
            self._writing = threading.Thread(
                target=self._put_aside, args=writes, name="columnar writing"
            )
            self._writing.start()

    def _put_aside(self, to: Timestamp, writes: dict[int, TableWrite]) -> None:
        try:
            self._put(to, writes)
        except Exception:  # noqa: BLE001 - whoever comes next is told
            traceback.print_exc()
        finally:
            self._lock.release()

    def _write(self) -> None:
        """Write what is pending; the lock is held.

        Raises:
            Exception: it could not be written, now or before.
        """
        writes = self._shredded()
        if writes is not None:
            self._put(*writes)

    def _shredded(self) -> tuple[Timestamp, dict[int, TableWrite]] | None:
        """What is to be written up to when; None: nothing is pending."""
        if self._failure is not None:
            raise self._failure
        with self._noting:
            changes, self._pending = self._pending, []
            to = self.watermark
        if to == self._written:
            return None
        by_table: dict[int, list[Change]] = {}
        for change in changes:
            if change.table in self._tables:
                by_table.setdefault(change.table, []).append(change)
        with self._failing():
            return to, {
                number: applying(self._tables[number], of)
                for number, of in by_table.items()
            }

    def _put(self, to: Timestamp, writes: dict[int, TableWrite]) -> None:
        with self._failing(), self._transaction() as connection:
            for number, write in writes.items():
                self._tables[number].write(connection, write)
            self._trim(connection, to)
            self._written = to

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
        for table in self._tables.values():
            if before > table.exact_from:
                table.trim(connection, before)

    @contextmanager
    def _changing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction after what is pending."""
        with self._lock:
            self._write()
            with self._transaction() as connection:
                yield connection

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """What is known of the file is saved in it; the lock is held."""
        connection = self._connection
        connection.begin()
        try:
            yield connection
            self._save(connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def forget(self) -> None:
        """See `Follower.forget`."""
        with self._lock:
            self._folded.forget()
            self._abandon()
            self._connection.close()
            self._connection = self._make_anew()

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        with self._lock:
            self._write()
            self._connection.execute("CHECKPOINT")

    def close(self) -> None:
        """See `Follower.close`."""
        if self._writing is not None:
            self._writing.join()
        with self._lock:
            try:
                self._write()
            finally:
                self._abandon()
                self._connection.close()

    def _abandon(self) -> None:
        if self._building is not None:
            self._building.abandon()
            self._building = None

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        size = self._path.stat().st_size if self._path is not None else 0
        with self._noting:
            pending = sum(
                (change.revision is not None) - (change.previous_ts != 0)
                for change in self._pending
                if change.table in self._tables
            )
        return {
            "tables": len(self._tables),
            "documents": pending + sum(table.rows for table in self._tables.values()),
            "folds": self._folded.folds,
            "bytes": size,
        }

    # -- answering ----------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: the request's kind, a line end, and its own words."""
        kind, _, body = request.partition(b"\n")
        told = self._folded.recall(body, at)
        if told is not None:
            return told
        with self.reading(at) as reading:
            return self._handlers[kind.decode()](reading, body)

    @contextmanager
    def reading(self, at: Timestamp) -> Iterator[Reading]:
        """The mirror as of a moment at or before its watermark."""
        with self._lock:
            self._write()
            connection = self._connection.cursor()
            connection.begin()
            # N.B. a transaction of DuckDB's begins with its first look.
            connection.execute("SELECT json FROM store.state").fetchall()
            tables = {
                name: replace(self._tables[number])
                for name, number in self.names.items()
                if number in self._tables
            }
        try:
            yield Reading(connection, at, tables, self._folded)
        finally:
            connection.close()


def view(reading: Reading, name: str, *, documents: bool = False) -> str:
    """A statement that makes a table of the schema readable by its name.

    Args:
        reading: of the tables.
        name: the table's.
        documents: whether `_doc`, the whole document as it is stored, is a column too.
    """
    fields = reading.tables[name].fields() + (", _doc" if documents else "")
    source = reading.source(reading.tables[name], fields)
    return f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {source}"
