"""The mirror's file: DuckDB's, with what it says of itself.

Each change of it is a transaction of DuckDB's, with the watermark and what is known of
the columns in it, so that the file is at any moment the mirror as of some watermark. A
file that is missing, broken or of another version is begun anew.

A transaction may be left open for the next change to go on in it. What is inserted in
one is written once, as row groups; in many it is written twice, to DuckDB's log and to
its file. Whoever wants to see what is in an open one has it settled.

Invariants
    C1  What DuckDB has committed is whole, and is as of the watermark that is in it.
    C2  After a change that failed the file and what is known of it may differ: it is
        begun anew.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.followers.columnar.shredding import Column
from convexlab.followers.columnar.tables import MirrorTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

FORMAT: Final = 5
FILE: Final = "columnar.duckdb"
# Up to how many rows of an order DuckDB fetches the documents of these rows alone.
LATE: Final = "late_materialization_max_rows"
# How many milliseconds a statement of a connection may run.
TIME_LIMIT: Final = "max_execution_time"


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


class MirrorFile:
    """See the module; whoever calls it sees to it that no two do at once.

    Args:
        path: of the file, made if missing; None keeps it in memory.

    Attributes:
        connection: what it is written through.
        tables: by number; in an open transaction, as they are in that.
        watermark: what is in it; likewise. *set by* who changes it.
        is_open: whether a transaction is.
        fresh: documents that came since it was opened; *counted by* who brings them.
        damage: why the file that was there was not gone on with; "": it was.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.tables: dict[int, MirrorTable] = {}
        self.watermark: Timestamp = BEGINNING
        self.is_open = False
        self.fresh = 0
        self.damage = ""
        self.connection = self._opened()

    @property
    def bytes(self) -> int:
        """How large it is."""
        return self._path.stat().st_size if self._path is not None else 0

    # -- opened, and begun anew ---------------------------------------------------------

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """The file as it was left, or a new one."""
        connection = None
        try:
            connection = self._connect()
            self._load(connection)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it can be made again
            traceback.print_exc()
            self.damage = str(error).partition("\n")[0]
            if connection is not None:
                connection.close()
            return self._made_anew()
        return connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(str(self._path) if self._path else ":memory:")
        locked = connection.execute("SELECT current_setting('lock_configuration')")
        if locked.fetchall() == [(True,)]:  # somebody has it open still
            return connection
        connection.execute("SET enable_external_access = false")
        # N.B. of all connections: those that read are others.
        connection.execute(f"SET GLOBAL {LATE} = {knobs.SCAN_ORDERED_ROWS}")
        connection.execute(f"SET allowed_configs = ['{LATE}', '{TIME_LIMIT}']")
        # N.B. what is a day, and what a time as text, is the same wherever it runs.
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
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
        self.watermark = Timestamp(state.watermark)
        for number, of in state.tables.items():
            columns = {column.name: column for column in of.columns}
            table = MirrorTable(
                number, columns, of.changed_ts, of.exact_from, of.rows, of.is_whole
            )
            if of.is_whole and self.watermark != BEGINNING:
                self.tables[number] = table
            else:  # it was being built
                table.drop(connection)

    def _made_anew(self) -> duckdb.DuckDBPyConnection:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}.wal").unlink(missing_ok=True)
        self.tables, self.watermark, self.fresh = {}, BEGINNING, 0
        connection = self._connect()
        self._load(connection)
        return connection

    def begin_again(self) -> None:
        """Let it be a new one, with nothing in it."""
        self.close()
        self.connection = self._made_anew()

    # -- changed ------------------------------------------------------------------------

    @contextmanager
    def changing(
        self, *, stays_open: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction, or the one that is open.

        Args:
            stays_open: whether the next change goes on in it, or who `settle`s it ends it.
        """
        if not self.is_open:
            self.connection.begin()
            self.is_open = True
        try:
            yield self.connection
            if not stays_open:
                self.settle()
        except BaseException:
            self._take_back()
            raise

    def settle(self) -> None:
        """Commit what is open, with what is known of the file."""
        if self.is_open:
            self._save(self.connection)
            self.connection.commit()
            self.is_open = False

    def _take_back(self) -> None:
        if self.is_open:
            self.is_open = False
            self.connection.rollback()

    def _save(self, connection: duckdb.DuckDBPyConnection) -> None:
        state = _State(
            FORMAT,
            self.watermark,
            {
                table.number: _TableState(
                    list(table.columns.values()),
                    table.changed_ts,
                    table.exact_from,
                    table.rows,
                    table.is_whole,
                )
                for table in self.tables.values()
            },
        )
        json = msgspec.json.encode(state).decode()
        connection.execute("UPDATE store.state SET json = ?", [json])

    # -- put to rest --------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Bring DuckDB's log into the file."""
        self.settle()
        self.connection.execute("CHECKPOINT")

    def reopen(self) -> None:
        """Open it anew, at rest, if nothing is lost with that; nobody reads it now.

        N.B. of rows that DuckDB took in since it opened its file it unpacks all texts to
        fetch a few: a thousand documents of a million took it 31 ms, and then 6.
        """
        if self._path is None or self._has_beside():
            return
        self.connection.close()
        self.connection = self._connect()
        self.fresh = 0

    def _has_beside(self) -> bool:
        """Whether tables in memory would be lost with the connection."""
        found = self.connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE NOT internal"
            " AND database_name <> current_database() LIMIT 1"
        )
        return bool(found.fetchall())

    def close(self) -> None:
        """Let go of it; what is open is lost."""
        self.is_open = False
        self.connection.close()

    # -- read ---------------------------------------------------------------------------

    def beside(self) -> duckdb.DuckDBPyConnection:
        """Another connection, in no transaction."""
        return self.connection.cursor()

    def read(self) -> duckdb.DuckDBPyConnection:
        """Another connection, in a transaction that sees the file as it is now."""
        self.settle()
        connection = self.connection.cursor()
        connection.begin()
        # N.B. a transaction of DuckDB's begins with its first look.
        connection.execute("SELECT json FROM store.state").fetchall()
        return connection
