"""Kept rows: those of one answer, in memory beside the mirror.

    keep(…)  runs a statement once ─▶ a table of its rows, until `drop`

They are those of a moment, and those of a later one too while none of the tables that
were read has changed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.kinds import quoted

if TYPE_CHECKING:
    import duckdb

    from convexlab.followers.columnar.reading import Reading
    from convexlab.followers.columnar.statement import Statement

_STORE: Final = "kept"
_ATTACHING: Final = threading.Lock()
# Types whose values are not Convex's: their text is shown.
_TEXTS: Final = ("DATE", "TIME", "INTERVAL", "UUID", "BIT", "BIGNUM")
# What a value takes in memory, beside the letters of a text.
_VALUE_BYTES: Final = 8


@dataclass(slots=True)
class KeptRows:
    """The rows of one answer.

    Attributes:
        name: of the table that has them.
        at: of when they are.
        tables: that were read: their names and numbers.
        size: in bytes, as far as it can be told.
    """

    name: str
    at: int
    tables: dict[str, int]
    size: int = 0

    @property
    def table(self) -> str:
        """What a statement calls the table."""
        return f"{_STORE}.{self.name}"

    def still_hold(self, reading: Reading) -> bool:
        """Whether they are there, and are those of the moment that is asked about."""
        if not self._are_there(reading.connection):
            return False
        if self.at == reading.at:
            return True
        until = min(self.at, int(reading.at))
        now = reading.tables
        return all(
            name in now and now[name].number == number and now[name].changed_ts <= until
            for name, number in self.tables.items()
        )

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let go of them; nobody reads them any more.

        Args:
            connection: to the mirror, in no transaction.
        """
        if self._are_there(connection):
            connection.execute(f"DROP TABLE {self.table}").fetchall()

    def _are_there(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """A mirror that was made anew has nothing of the one before."""
        found = connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = ?",
            [_STORE, self.name],
        )
        return bool(found.fetchall())


def keep(reading: Reading, statement: Statement, params: Any, name: str) -> KeptRows:
    """Run a statement once, and keep its rows under a name.

    Raises:
        InvalidQuery: they are more than `knobs.KEPT_ANSWERS_BYTES`.
        duckdb.Error: it cannot be run.
    """
    numbers = {each: int(reading.tables[each].number) for each in statement.tables}
    kept = KeptRows(name, int(reading.at), numbers)
    _copy(reading.connection, statement, params, kept)
    return kept


def _attach(connection: duckdb.DuckDBPyConnection) -> None:
    """Where they are kept; N.B. two who make it at once are in each other's way."""
    with _ATTACHING:
        beside = connection.cursor()
        try:
            beside.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {_STORE}").fetchall()
        finally:
            beside.close()


def _copy(
    connection: duckdb.DuckDBPyConnection,
    statement: Statement,
    params: Any,
    kept: KeptRows,
) -> None:
    text = f"({statement.text.rstrip().rstrip(';')}\n)"
    described = connection.sql(f"SELECT * FROM {text} LIMIT 0", params=params)
    columns = [(name, str(of)) for name, of, *_ in described.description]
    most = knobs.KEPT_ANSWERS_BYTES // (_VALUE_BYTES * len(columns))
    _attach(connection)
    fields = ", ".join(_field(name, of) for name, of in columns)
    connection.execute(
        f"CREATE TABLE {kept.table} AS SELECT {fields} FROM {text} LIMIT {most + 1}",
        params,
    ).fetchall()
    kept.size = _size(connection, kept, columns)
    if kept.size > knobs.KEPT_ANSWERS_BYTES:
        raise InvalidQuery(
            "SQL: the answer is too large to be looked at: more than "
            f"{knobs.KEPT_ANSWERS_BYTES >> 20} MB. Ask for fewer columns or rows; "
            "`.df()` has them all."
        )
    connection.commit()  # whoever reads a window has another connection


def _field(name: str, of: str) -> str:
    """A column as it is kept: as it is, or as the text of what has no value."""
    if of.startswith(_TEXTS) and not of.startswith("TIMESTAMP"):
        return f"CAST({quoted(name)} AS VARCHAR) AS {quoted(name)}"
    return quoted(name)


def _size(
    connection: duckdb.DuckDBPyConnection,
    kept: KeptRows,
    columns: list[tuple[str, str]],
) -> int:
    """About how many bytes its rows take: texts by their letters."""
    texts = "".join(
        f" + coalesce(sum(strlen(CAST({quoted(name)} AS VARCHAR))), 0)"
        for name, of in columns
        if of in {"VARCHAR", "JSON", "BLOB"} or of.endswith(("]", ")"))
    )
    found = connection.execute(
        f"SELECT count(*) * {_VALUE_BYTES * len(columns)}{texts} FROM {kept.table}"
    )
    ((size,),) = found.fetchall()
    return int(size)
