"""SQL over the mirror: one statement, as of one moment, as values or as Arrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.damage import refuse_damaged
from convexlab.followers.columnar.file import TIME_LIMIT
from convexlab.followers.columnar.kinds import ANYTHING, quoted
from convexlab.followers.columnar.narrowing import narrowed
from convexlab.followers.columnar.profiles import Profiles, summarized
from convexlab.followers.columnar.reading import view
from convexlab.followers.columnar.results import (
    MIXED,
    WHOLE,
    marked,
    rows_of,
    value_of,
    whole,
)
from convexlab.followers.columnar.statement import Statement, read_statement

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from convexlab.followers.columnar.reading import Reading

# How DuckDB begins the line in which something failed.
_LINE: Final = re.compile(r"^LINE \d+: ", re.MULTILINE)
# What it says where it takes JSON for another type, or another for JSON.
_OF_JSON: Final = re.compile(r"\bJSON\b|Failed to cast value")


class SqlRequest(msgspec.Struct, frozen=True):
    """A statement and its parameters.

    Args:
        text: the SQL.
        params: the stored text of an array of them (`?`, `$1`) or of an object (`$name`).
        arrow: whether the answer is an Arrow stream instead of values.
        tables: the numbers of the tables there are, by name; None: as they are now.
        documents: whether the tables have a column `_doc` of whole documents, which tell
            null from missing as DuckDB's columns do not. Not for Arrow.
        limit: how many rows are wanted at most, the first ones; None: all. A SUMMARIZE
            gives all.
        is_dry: whether only what it depends on is wanted: it is planned, and not run.
        seconds: how long it may run, since nobody waits for longer; None: as long as it
            takes.
    """

    text: str
    params: str = "[]"
    arrow: bool = False
    tables: dict[str, int] | None = None
    documents: bool = False
    limit: int | None = None
    is_dry: bool = False
    seconds: float | None = None


class SqlAnswer(msgspec.Struct, array_like=True):
    """What a statement came to.

    Args:
        tables: that it reads.
        rows: stored text, or an Arrow stream.
        refused: why it has no rows; another time, with other documents, it may.
        filters: which documents of a table it depends on, if not on all: those that pass
            one of these expressions.
    """

    tables: list[str]
    rows: bytes = b""
    refused: str | None = None
    filters: dict[str, list[bytes]] = {}


def answer_sql(
    reading: Reading, body: bytes, profiles: Profiles | None = None
) -> bytes:
    """Answer a SqlRequest with a SqlAnswer.

    Args:
        reading: of the mirror.
        body: the request.
        profiles: what is kept of them; None: nothing.

    Raises:
        InvalidQuery: it is no statement that may be run, whatever the tables hold.
        NotFound: it names a table that is not there.
        OutOfRetention: the mirror does not reach back so far.
    """
    request = msgspec.msgpack.decode(body, type=SqlRequest)
    if request.tables is not None:
        reading.named(request.tables)
    inner = summarized(request.text)
    statement = read_statement(
        reading.connection, inner or request.text, reading.tables
    )
    answer = SqlAnswer(list(statement.tables))
    params: Any = from_stored(request.params.encode())
    if request.seconds is not None:
        limit = f"SET {TIME_LIMIT} = {int(request.seconds * 1000)}"
        reading.connection.execute(limit).fetchall()
    try:
        if request.is_dry:
            _plan(reading, statement, params)
        elif inner is None:
            answer.rows = _rows(reading, statement, params, request)
        else:
            answer.rows = _profiled(
                profiles or Profiles(), reading, statement, params, arrow=request.arrow
            )
        answer.filters = narrowed(statement.tree, reading.tables, params)
    except InvalidQuery as error:
        answer.refused = f"{error}{_on_mixed(str(error), reading, statement)}"
    return msgspec.msgpack.encode(answer)


def _on_mixed(said: str, reading: Reading, statement: Statement) -> str:
    """What to write where a column of several kinds made a statement fail."""
    text = statement.text.lower()
    mixed = [
        column.name
        for table in statement.tables
        for column in reading.tables[table].columns.values()
        if column.kind == ANYTHING and column.name.lower() in text
    ]
    if not mixed or not _OF_JSON.search(said):
        return ""
    name = quoted(mixed[0])
    return (
        f"\n`{mixed[0]}` has values of several kinds, so its column is JSON: ask for their "
        f"text, `{name}->>'$'`, or numbers, `TRY_CAST({name}->>'$' AS DOUBLE)`."
    )


def answer_of(told: bytes) -> SqlAnswer:
    """What `answer_sql` said.

    Raises:
        InvalidQuery: DuckDB refuses the statement, in its words; or its result has no
            value.
    """
    answer = msgspec.msgpack.decode(told, type=SqlAnswer)
    if answer.refused is not None:
        raise InvalidQuery(answer.refused)
    return answer


def _plan(reading: Reading, statement: Statement, params: Any) -> None:
    import duckdb

    try:
        for name in statement.tables:
            reading.connection.execute(view(reading, name)).fetchall()
        reading.connection.execute(f"EXPLAIN {statement.text}", params).fetchall()
    except duckdb.Error as error:
        raise _refusal(error) from None


def _rows(
    reading: Reading, statement: Statement, params: Any, request: SqlRequest
) -> bytes:
    documents = request.documents
    found = _run(reading, statement, params, documents=documents)
    if request.limit is not None:
        found = found.limit(request.limit)
    if request.arrow:
        return _arrow_stream(found)
    return to_stored(values_of(found, documents=documents))


def _run(
    reading: Reading, statement: Statement, params: Any, *, documents: bool
) -> duckdb.DuckDBPyRelation:
    import duckdb

    try:
        for name in statement.tables:
            made = view(reading, name, documents=documents)
            reading.connection.execute(made).fetchall()
        return reading.connection.sql(statement.text, params=params)
    except duckdb.Error as error:
        raise _refusal(error) from None


def _refusal(error: duckdb.Error) -> InvalidQuery:
    """What is said of a statement that DuckDB did not run, or not to its end."""
    import duckdb

    refuse_damaged(error)
    if isinstance(error, duckdb.InterruptException):
        return InvalidQuery(
            "SQL: the statement takes longer than a function waits for one: let it read "
            "less, or run it from a notebook."
        )
    return InvalidQuery(f"SQL: {error}")


def _profiled(
    profiles: Profiles,
    reading: Reading,
    statement: Statement,
    params: Any,
    *,
    arrow: bool,
) -> bytes:
    """What is in the columns: as values, or as Arrow with nested ones as their JSON."""
    values = profile_values(profiles, reading, statement, params)
    return _profile_stream(values) if arrow else to_stored(values)


def profile_values(
    profiles: Profiles, reading: Reading, statement: Statement, params: Any
) -> list[Any]:
    """What is in the columns of a statement's rows, as Convex's values.

    Raises:
        InvalidQuery: it cannot be run.
    """
    import duckdb

    try:
        rows = profiles.rows(reading, statement, params)
    except duckdb.Error as error:
        raise _refusal(error) from None
    return [value_of(row) for row in rows]


# -- results ----------------------------------------------------------------------


def values_of(found: duckdb.DuckDBPyRelation, *, documents: bool) -> list[Any]:
    """The rows of a result, as Convex's values.

    Args:
        found: the result.
        documents: whether its column `_doc` is whole documents.

    Raises:
        InvalidQuery: it has values that are none of Convex's.
    """
    import duckdb

    try:
        return rows_of(found, documents=documents)
    except duckdb.Error as error:
        raise _failed(error) from None


def _failed(error: duckdb.Error) -> InvalidQuery:
    """What a statement that failed as it ran is told.

    DuckDB ran it inside of another, so the number of the line that it shows is not the
    user's.
    """
    said = str(_refusal(error))
    return InvalidQuery(_LINE.sub(lambda found: " " * len(found.group()), said))


def _arrow_stream(found: duckdb.DuckDBPyRelation) -> bytes:
    import duckdb
    import pyarrow as pa

    try:
        table: pa.Table = found.to_arrow_table()
    except duckdb.Error as error:
        raise _failed(error) from None
    kinds = [of for _, of, *_ in found.description]
    for at, of in enumerate(kinds):
        if str(of) in WHOLE:
            table = table.set_column(at, table.field(at).name, whole(table.column(at)))
    fields = [marked(field, of) for field, of in zip(table.schema, kinds, strict=True)]
    return _stream(table.cast(pa.schema(fields)))


def _profile_stream(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa

    nested = ("top", "bins")
    columns = {
        name: [row.get(name) for row in rows]
        for name in dict.fromkeys(name for row in rows for name in row)
        if name not in nested
    }
    texts = {
        name: [to_stored(row[name]).decode() if name in row else None for row in rows]
        for name in nested
    }
    fields = [pa.field(name, pa.string(), metadata=MIXED) for name in texts]
    table = pa.table(columns)
    for field in fields:
        table = table.append_column(field, pa.array(texts[field.name], pa.string()))
    return _stream(table)


def _stream(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
