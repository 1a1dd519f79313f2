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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_stored_each
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import decode_key
from convexlab.followers.columnar.kinds import Nothing, duckdb_type, quoted
from convexlab.followers.columnar.shredding import (
    Column,
    Columns,
    Fields,
    arrow_columns,
    observed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb
    import pyarrow as pa

    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change

ID_BYTES: Final = 16
# The columns of a table that the mirror does not have.
NO_ROWS: Final = (
    "NULL::VARCHAR AS _id, NULL::DOUBLE AS _creationTime, NULL::VARCHAR AS _doc, "
    "NULL::BIGINT AS _from"
)
# The names of a batch while it is being taken in.
_BATCH: Final = "batch"


@dataclass(slots=True)
class Step:
    """One revision and when it was current.

    Attributes:
        id: the internal id.
        from_ts: the commit that made it so.
        revision: None: the document was not there.
        place: the document's key by creation time.
        to_ts: when the next one came; None: it is the last of its run.
        replaces: whether it ends what was there before the run.
    """

    id: bytes
    from_ts: int
    revision: Revision | None
    place: bytes
    to_ts: int | None = None
    replaces: bool = False

    @property
    def created(self) -> float:
        """The document's creation time, in ms since 1970."""
        created: float = decode_key(self.place[:-ID_BYTES])[0]
        return created


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

    def append(
        self, connection: duckdb.DuckDBPyConnection, revisions: Sequence[Revision]
    ) -> None:
        """Take in current documents that were not there."""
        fields = Fields(from_stored_each([revision.body for revision in revisions]))
        self._widen(connection, fields)
        self._insert(connection, self.current, self._batch(revisions, fields))
        self.rows += len(revisions)

    def apply(
        self, connection: duckdb.DuckDBPyConnection, changes: Sequence[Change]
    ) -> None:
        """Take in what commits did to this table's documents, in order."""
        inserted = _inserted(changes)
        if inserted is not None:
            self.append(connection, inserted)
        else:
            self._step(connection, steps_of(changes))
        self.changed_ts = changes[-1].ts

    def _step(
        self, connection: duckdb.DuckDBPyConnection, steps: Sequence[Step]
    ) -> None:
        ended = [step for step in steps if step.replaces]
        if ended:
            self._end(connection, ended)
        shown = [(step, step.revision) for step in steps if step.revision is not None]
        revisions = [revision for _, revision in shown]
        fields = Fields(from_stored_each([revision.body for revision in revisions]))
        self._widen(connection, fields)
        batch = self._batch(revisions, fields)
        now = [at for at, (step, _) in enumerate(shown) if step.to_ts is None]
        then = [at for at, (step, _) in enumerate(shown) if step.to_ts is not None]
        self._insert(
            connection, self.current, batch.take(_int64(now)) if then else batch
        )
        if then:
            ends = _int64([shown[at][0].to_ts for at in then])
            passed = batch.take(_int64(then)).append_column("_to", ends)
            self._insert(connection, self.past, passed)
        self.rows += len(now) - len(ended)

    def trim(self, connection: duckdb.DuckDBPyConnection, before: int) -> None:
        """Forget what was superseded at or before a timestamp."""
        connection.execute(f"DELETE FROM {self.past} WHERE _to <= ?", [before])
        self.exact_from = max(self.exact_from, before)

    # -- how -----------------------------------------------------------------------

    def _end(
        self, connection: duckdb.DuckDBPyConnection, ended: Sequence[Step]
    ) -> None:
        """Move the current rows of these documents to the past."""
        import pyarrow as pa

        batch = pa.table(
            {
                "_id": [encode_id(self.id_number, step.id) for step in ended],
                "_creationTime": [step.created for step in ended],
                "_to": _int64([step.from_ts for step in ended]),
            }
        )
        names = self.names()
        shown = ", ".join(f"t.{name}" for name in names)
        connection.register(_BATCH, batch)
        connection.execute(
            f"INSERT INTO {self.past} ({', '.join(names)}, _to) SELECT {shown}, b._to FROM {self.current} t"
            f" JOIN {_BATCH} b ON t._creationTime = b._creationTime AND t._id = b._id"
        )
        connection.execute(
            f"DELETE FROM {self.current} t USING {_BATCH} b"
            " WHERE t._creationTime = b._creationTime AND t._id = b._id"
        )
        connection.unregister(_BATCH)

    def _insert(
        self, connection: duckdb.DuckDBPyConnection, table: str, batch: pa.Table
    ) -> None:
        if batch.num_rows:
            names = ", ".join(batch.column_names)
            connection.register(_BATCH, batch)
            connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM {_BATCH}"
            )
            connection.unregister(_BATCH)

    def _batch(self, revisions: Sequence[Revision], fields: Fields) -> pa.Table:
        import pyarrow as pa

        return pa.table(
            {
                "_id": pa.array(fields.values("_id"), pa.string()),
                "_creationTime": pa.array(fields.values("_creationTime"), pa.float64()),
                **arrow_columns(self.columns, fields),
                # N.B. stored text is UTF-8, as Arrow has its strings.
                "_doc": pa.array([r.body for r in revisions], pa.binary()).cast(
                    pa.string()
                ),
                "_from": _int64([r.ts for r in revisions]),
            }
        )

    def _widen(self, connection: duckdb.DuckDBPyConnection, fields: Fields) -> None:
        """See that the columns hold these documents too."""
        before = self.columns
        self.columns = observed(before, fields, has_rows=self._has_rows())
        changed = [
            column
            for name, column in self.columns.items()
            if name not in before or column.kind != before[name].kind
        ]
        known = [column for column in changed if column.name in before]
        for column in changed:
            if column.name not in before:
                for table in (self.current, self.past):
                    connection.execute(
                        f"ALTER TABLE {table} ADD COLUMN {_definition(column)}"
                    )
        # N.B. a column without a value has nothing to convert.
        refill = [c for c in known if not isinstance(before[c.name].kind, Nothing)]
        for column in known:
            self._retype(connection, column)
        if refill:
            self._refill(connection, refill)

    def _has_rows(self) -> bool:
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
                fields = Fields(from_stored_each([text.encode() for _, text in rows]))
                row_ids = _int64([row for row, _ in rows])
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


def _inserted(changes: Sequence[Change]) -> list[Revision] | None:
    """The documents, if all that a run did was to insert them: most of what is long."""
    found = [
        change.revision
        for change in changes
        if change.revision is not None and not change.previous_ts
    ]
    if len(found) < len(changes) or len({each.id for each in changes}) < len(found):
        return None
    return found


def steps_of(changes: Iterable[Change]) -> list[Step]:
    """What a run does to a table's documents."""
    last: dict[bytes, Step] = {}
    steps = []
    for change in changes:
        step = Step(change.id, change.ts, change.revision, change.place)
        before = last.get(change.id)
        if before is not None:
            before.to_ts = change.ts
        else:
            step.replaces = change.previous_ts != 0
        last[change.id] = step
        steps.append(step)
    return steps


def _definition(column: Column) -> str:
    return f"c{column.slot} {duckdb_type(column.kind)}"


def _fresh(name: str, shown: dict[str, str]) -> str:
    """A name that differs from all others also to DuckDB, which ignores case."""
    number, fresh = 2, name
    while fresh.lower() in shown:
        fresh, number = f"{name}_{number}", number + 1
    return fresh


def _int64(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.int64())
