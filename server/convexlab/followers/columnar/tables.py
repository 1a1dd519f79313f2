"""One document table in DuckDB: its current rows, and the superseded ones.

    store.t<number>   _id · _creationTime · c0, c1, … · _doc · _from
    store.p<number>   the same · _to                 current in [_from, _to)

What is current is in a table of its own, so that the past costs today's queries
nothing. A run of commits is three statements, however many documents it writes: the
rows that it ends move to the past, what was only for a moment goes there too, and
what is current now is appended.

Rows are found by creation time and id: documents are appended about in the order of
their creation, so that DuckDB skips the row groups where they cannot be.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from convexlab.documents.bodies import from_bodies_each
from convexlab.followers.columnar.kinds import Nothing, duckdb_type, quoted
from convexlab.followers.columnar.shredding import Column, Columns, arrow_columns
from convexlab.followers.columnar.values import Fields
from convexlab.followers.columnar.writes import int64

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

    from convexlab.followers.columnar.writes import TableWrite

# The columns of a table that the mirror does not have.
NO_ROWS: Final = (
    "NULL::VARCHAR AS _id, NULL::DOUBLE AS _creationTime, NULL::VARCHAR AS _doc, "
    "NULL::BIGINT AS _from"
)
# The names of a batch while it is being taken in.
_BATCH: Final = "batch"


@dataclass(slots=True)
class MirrorTable:
    """A table of the mirror.

    Attributes:
        number: the document table's.
        columns: its fields, as observed so far.
        changed_ts: the newest commit that wrote it.
        exact_from: states before this timestamp are not in it.
        rows: how many documents it has.
        is_whole: whether all documents that were there have been taken in.
        id_number: what its documents' ids bear; *set by* `Mirror.learn`. It is another
            than `number` once the table was emptied.
    """

    number: int
    columns: Columns = field(default_factory=dict)
    changed_ts: int = 0
    exact_from: int = 0
    rows: int = 0
    is_whole: bool = False
    id_number: int = 0

    @property
    def current(self) -> str:
        """The name of the current rows' table."""
        return f"store.t{self.number}"

    @property
    def past(self) -> str:
        """The name of the superseded rows' table."""
        return f"store.p{self.number}"

    def began_at(self, ts: int) -> None:
        """It is whole as of a timestamp, and knows nothing of what was before."""
        self.exact_from, self.changed_ts = ts, max(self.changed_ts, ts)

    # -- what is in it ------------------------------------------------------------

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make both tables, empty."""
        columns = ", ".join(_definition(column) for column in self.columns.values())
        fields = f"_id VARCHAR, _creationTime DOUBLE, {columns + ', ' if columns else ''}_doc VARCHAR, _from BIGINT"
        connection.execute(f"CREATE OR REPLACE TABLE {self.current} ({fields})")
        connection.execute(
            f"CREATE OR REPLACE TABLE {self.past} ({fields}, _to BIGINT)"
        )

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take both away."""
        connection.execute(f"DROP TABLE IF EXISTS {self.current}")
        connection.execute(f"DROP TABLE IF EXISTS {self.past}")

    def write(self, connection: duckdb.DuckDBPyConnection, write: TableWrite) -> None:
        """Take in what was made of commits, or of documents that were there before."""
        if write.ended is not None:
            self._end(connection, write.ended)
        self.widen(connection, write.columns)
        self.insert(connection, self.current, write.begun)
        if write.passed is not None:
            self.insert(connection, self.past, write.passed)
        self.rows += write.added
        self.changed_ts = max(self.changed_ts, write.ts)

    def after(self, write: TableWrite) -> MirrorTable:
        """What it is once that is taken in."""
        return replace(
            self,
            columns=write.columns,
            rows=self.rows + write.added,
            changed_ts=max(self.changed_ts, write.ts),
        )

    def trim(self, connection: duckdb.DuckDBPyConnection, before: int) -> None:
        """Forget what was superseded at or before a timestamp."""
        connection.execute(f"DELETE FROM {self.past} WHERE _to <= ?", [before])
        self.exact_from = max(self.exact_from, before)

    # -- how -----------------------------------------------------------------------

    def _end(self, connection: duckdb.DuckDBPyConnection, ended: pa.Table) -> None:
        """Move current rows to the past."""
        names = self.names()
        shown = ", ".join(f"t.{name}" for name in names)
        connection.register(_BATCH, ended)
        connection.execute(
            f"INSERT INTO {self.past} ({', '.join(names)}, _to) SELECT {shown}, b._to FROM {self.current} t"
            f" JOIN {_BATCH} b ON t._creationTime = b._creationTime AND t._id = b._id"
        )
        connection.execute(
            f"DELETE FROM {self.current} t USING {_BATCH} b"
            " WHERE t._creationTime = b._creationTime AND t._id = b._id"
        )
        connection.unregister(_BATCH)

    def insert(
        self, connection: duckdb.DuckDBPyConnection, table: str, batch: pa.Table
    ) -> None:
        """Append rows to one of both tables."""
        if batch.num_rows:
            names = ", ".join(batch.column_names)
            connection.register(_BATCH, batch)
            connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM {_BATCH}"
            )
            connection.unregister(_BATCH)

    def widen(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> None:
        """Let the columns be these, which hold all that it has and more."""
        known, before = self._changed(columns), self.columns
        self.columns = columns
        for name, column in columns.items():
            if name not in before:
                for table in (self.current, self.past):
                    connection.execute(
                        f"ALTER TABLE {table} ADD COLUMN {_definition(column)}"
                    )
        for column in known:
            self._retype(connection, column)
        # N.B. a column without a value has nothing to convert.
        refill = [c for c in known if not isinstance(before[c.name].kind, Nothing)]
        if refill:
            self._refill(connection, refill)

    def _changed(self, columns: Columns) -> list[Column]:
        """Those of its columns whose kind is another."""
        return [
            columns[name]
            for name, column in self.columns.items()
            if columns[name].kind != column.kind
        ]

    @property
    def has_rows(self) -> bool:
        """Whether there are documents, or were: what comes new is missing in them."""
        return self.rows > 0 or self.changed_ts > self.exact_from

    def _retype(self, connection: duckdb.DuckDBPyConnection, column: Column) -> None:
        for table in (self.current, self.past):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN c{column.slot}")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {_definition(column)}")

    def _refill(
        self, connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]
    ) -> None:
        """Fill columns anew from the stored documents: rare, and as long as the table."""
        import pyarrow as pa

        wanted = {column.name: column for column in columns}
        updates = ", ".join(f"c{c.slot} = b.c{c.slot}" for c in columns)
        for table in (self.current, self.past):
            reader = connection.execute(f"SELECT rowid, _doc FROM {table}")
            parts = []
            while rows := reader.fetchmany(10_000):
                fields = Fields(from_bodies_each([text.encode() for _, text in rows]))
                row_ids = int64([row for row, _ in rows])
                parts.append(
                    pa.table({"row": row_ids, **arrow_columns(wanted, fields)})
                )
            if parts:
                connection.register(_BATCH, pa.concat_tables(parts))
                connection.execute(
                    f"UPDATE {table} t SET {updates} FROM {_BATCH} b WHERE t.rowid = b.row"
                )
                connection.unregister(_BATCH)

    # -- how it is read ---------------------------------------------------------------

    def names(self) -> list[str]:
        """The columns, as they are called here."""
        slots = [f"c{column.slot}" for column in self.columns.values()]
        return ["_id", "_creationTime", *slots, "_doc", "_from"]

    def fields(self) -> str:
        """The select list that shows the columns by their fields' names."""
        shown: dict[str, str] = {"_id": "_id", "_creationtime": '"_creationTime"'}
        parts = ["_id", '_creationTime AS "_creationTime"']
        for column in self.columns.values():
            name = _fresh(column.name, shown)
            shown[name.lower()] = name
            parts.append(f"c{column.slot} AS {quoted(name)}")
        return ", ".join(parts)


def _definition(column: Column) -> str:
    return f"c{column.slot} {duckdb_type(column.kind)}"


def _fresh(name: str, shown: dict[str, str]) -> str:
    """A name that differs from all others also to DuckDB, which ignores case."""
    number, fresh = 2, name
    while fresh.lower() in shown:
        fresh, number = f"{name}_{number}", number + 1
    return fresh
