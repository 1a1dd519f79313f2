"""Windows: the rows of a long answer, some at a time.

    a statement ─▶ its rows, kept ─▶ SELECT … FROM "rows" WHERE … ORDER BY … LIMIT …
                                     (a window, a count, a profile, a part of a file)

A page shows an answer of a million rows as it shows a table: what is in sight, sorted
and filtered here. The statement is run once and its rows are kept, beside the mirror in
memory, so that windows of one answer fit together: without an ORDER BY a statement may
give its rows in another order each time.

Kept rows are those of a moment; they are also those of a later one while none of the
tables that were read has changed. They are let go when nobody has asked for a while, or
others need the room.

Invariants
    W1  All windows of one answer are of the same rows in the same places.
    W2  No more bytes are kept than KEPT_ANSWERS_BYTES, as far as these can be told.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.changes import changes
from convexlab.followers.columnar.kinds import quoted
from convexlab.followers.columnar.mirror import Reading, view
from convexlab.followers.columnar.profiles import Profiles, summarized
from convexlab.followers.columnar.sql import SqlAnswer, profile_values, values_of
from convexlab.followers.columnar.statement import Statement, read_statement

if TYPE_CHECKING:
    import duckdb

# A statement or a table, its parameters, since when.
_Key = tuple[str, str, int | None]
ROWS: Final = "rows"
#: Where a row stands in its answer.
PLACE: Final = "_place"
_STORE: Final = "kept"
_MONOTONIC: Final = time.monotonic
# Types whose values are not Convex's: their text is shown.
_TEXTS: Final = ("DATE", "TIME", "INTERVAL", "UUID", "BIT", "BIGNUM")
# What a value takes in memory, beside the letters of a text.
_VALUE_BYTES: Final = 8


class WindowRequest(msgspec.Struct, frozen=True):
    """A statement over the rows of another one.

    Args:
        text: the SQL over the table `rows`, whose column `_place` counts them.
        of: the statement that they are the rows of; or a table's name, if `since` is
            said.
        params: the stored text of the first one's parameters.
        of_params: the same of the other one's.
        since: the rows are what became of the table's documents since then: see
            `changes`.
    """

    text: str
    of: str
    params: str = "[]"
    of_params: str = "[]"
    since: int | None = None


@dataclass(slots=True)
class _Kept:
    """The rows of one answer.

    Attributes:
        name: of the table that has them.
        at: of when they are.
        tables: that were read: their names and numbers.
        size: in bytes.
        asked: when somebody last asked for some, in seconds.
    """

    name: str
    at: int
    tables: dict[str, int]
    size: int = 0
    asked: float = 0.0


class Windows:
    """The answers of one mirror that are read by window.

    Args:
        clock: seconds, for what is let go.
    """

    def __init__(self, clock: Any = _MONOTONIC) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._made = 0

    def answer(self, reading: Reading, body: bytes) -> bytes:
        """Answer a WindowRequest with a SqlAnswer.

        Raises:
            InvalidQuery: one of the statements is none that may be run.
            NotFound: it names a table that is not there.
            OutOfRetention: the mirror does not reach back so far.
        """
        import duckdb

        request = msgspec.msgpack.decode(body, type=WindowRequest)
        answer = SqlAnswer([])
        try:
            # N.B. one at a time: what is asked for first is what others ask for, too.
            with self._lock:
                kept = self._found(reading, request)
                answer.tables = list(kept.tables)
                answer.rows = to_stored(_window(reading, kept, request))
        except InvalidQuery as error:
            answer.refused = str(error)
        except duckdb.Error as error:
            answer.refused = f"SQL: {error}"
        return msgspec.msgpack.encode(answer)

    # -- what is kept ------------------------------------------------------------------

    def _found(self, reading: Reading, request: WindowRequest) -> _Kept:
        key = (request.of, request.of_params, request.since)
        kept = self._kept.get(key)
        if kept is None or not _still_holds(kept, reading):
            self._drop(reading, key)
            kept = self._kept[key] = self._make(reading, request)
        self._kept.move_to_end(key)
        kept.asked = self._clock()
        self._let_go(reading)
        return kept

    def _make(self, reading: Reading, request: WindowRequest) -> _Kept:
        statement = _statement(reading, request)
        self._made += 1
        numbers = {name: int(reading.tables[name].number) for name in statement.tables}
        kept = _Kept(f"r{self._made}", int(reading.at), numbers)
        _copy(
            reading.connection, statement, from_stored(request.of_params.encode()), kept
        )
        return kept

    def _let_go(self, reading: Reading) -> None:
        """What nobody has asked for lately, and what there is no room for (W2)."""
        before = self._clock() - knobs.KEPT_ANSWER_SECONDS
        total = sum(kept.size for kept in self._kept.values())
        for key, kept in list(self._kept.items())[:-1]:
            if kept.asked < before or total > knobs.KEPT_ANSWERS_BYTES:
                total -= kept.size
                self._drop(reading, key)

    def _drop(self, reading: Reading, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is None or not _is_there(reading, kept):
            return
        # N.B. another connection: this one's transaction is not committed any more.
        connection = reading.connection.cursor()
        try:
            connection.execute(f"DROP TABLE {_STORE}.{kept.name}").fetchall()
        finally:
            connection.close()


def _statement(reading: Reading, request: WindowRequest) -> Statement:
    """The statement whose rows are kept, with its tables readable."""
    if request.since is not None:
        return changes(reading, request.of, request.since)
    if summarized(request.of) is not None:
        raise InvalidQuery("SQL: SUMMARIZE gives few rows: ask for them as they are.")
    statement = read_statement(reading.connection, request.of, reading.tables)
    for name in statement.tables:
        reading.connection.execute(view(reading, name)).fetchall()
    return statement


def _still_holds(kept: _Kept, reading: Reading) -> bool:
    """Whether its rows are there, and are those of the moment that is asked about."""
    if not _is_there(reading, kept):
        return False
    if kept.at == reading.at:
        return True
    until = min(kept.at, int(reading.at))
    now = reading.tables
    return all(
        name in now and now[name].number == number and now[name].changed_ts <= until
        for name, number in kept.tables.items()
    )


def _is_there(reading: Reading, kept: _Kept) -> bool:
    """A mirror that was made anew has nothing of the one before."""
    found = reading.connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = ?",
        [_STORE, kept.name],
    )
    return bool(found.fetchall())


def _copy(
    connection: duckdb.DuckDBPyConnection,
    statement: Statement,
    params: Any,
    kept: _Kept,
) -> None:
    """Run a statement once, and keep its rows."""
    text = f"({statement.text.rstrip().rstrip(';')}\n)"
    described = connection.sql(f"SELECT * FROM {text} LIMIT 0", params=params)
    columns = [(name, str(of)) for name, of, *_ in described.description]
    most = knobs.KEPT_ANSWERS_BYTES // (_VALUE_BYTES * len(columns))
    connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {_STORE}").fetchall()
    fields = ", ".join(_field(name, of) for name, of in columns)
    connection.execute(
        f"CREATE TABLE {_STORE}.{kept.name} AS "
        f"SELECT {fields} FROM {text} LIMIT {most + 1}",
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
    connection: duckdb.DuckDBPyConnection, kept: _Kept, columns: list[tuple[str, str]]
) -> int:
    """About how many bytes its rows take: texts by their letters."""
    texts = "".join(
        f" + coalesce(sum(strlen(CAST({quoted(name)} AS VARCHAR))), 0)"
        for name, of in columns
        if of in {"VARCHAR", "JSON", "BLOB"} or of.endswith(("]", ")"))
    )
    found = connection.execute(
        f"SELECT count(*) * {_VALUE_BYTES * len(columns)}{texts} FROM {_STORE}.{kept.name}"
    )
    ((size,),) = found.fetchall()
    return int(size)


# -- one window ------------------------------------------------------------------------


def _window(reading: Reading, kept: _Kept, request: WindowRequest) -> list[Any]:
    connection = reading.connection
    inner = summarized(request.text)
    read = read_statement(connection, inner or request.text, (ROWS,))
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quoted(ROWS)} AS "
        f"SELECT *, rowid AS {quoted(PLACE)} FROM {_STORE}.{kept.name}"
    ).fetchall()
    # The table is no table of the mirror's: nothing else is to be made readable.
    statement = Statement(read.text, (), read.tree)
    params: Any = from_stored(request.params.encode())
    if inner is not None:
        beside = Reading(connection, reading.at, {}, reading.folded)
        return profile_values(Profiles(), beside, statement, params)
    return values_of(connection.sql(statement.text, params=params), documents=False)
