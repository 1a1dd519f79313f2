"""Windows: the rows of a long answer, some at a time.

    a statement ─▶ its rows, kept ─▶ SELECT … FROM "rows" WHERE … ORDER BY … LIMIT …
                                     (a window, a count, a profile, a part of a file)

A page shows an answer of a million rows as it shows a table: what is in sight, sorted
and filtered here. The statement is run once and its rows are kept, beside the mirror in
memory, so that windows of one answer fit together: without an ORDER BY a statement may
give its rows in another order each time.

They are let go when nobody has asked for a while, or others need the room. Whoever asks
about an answer waits for its statement, and for nobody else's.

Invariants
    W1  All windows of one answer are of the same rows in the same places.
    W2  No more bytes are kept than KEPT_ANSWERS_BYTES, as far as these can be told, but for
        answers that are being asked about.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.bodies import plain_text
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import InvalidQuery
from convexlab.followers.columnar.changes import BODIES, changes
from convexlab.followers.columnar.damage import refuse_damaged
from convexlab.followers.columnar.kept import keep
from convexlab.followers.columnar.kinds import quoted
from convexlab.followers.columnar.profiles import Profiles, summarized
from convexlab.followers.columnar.reading import Reading, view
from convexlab.followers.columnar.sql import SqlAnswer, profile_values, values_of
from convexlab.followers.columnar.statement import Statement, read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from convexlab.followers.columnar.kept import KeptRows

# A statement or a table, its parameters, since when.
_Key = tuple[str, str, int | None]
ROWS: Final = "rows"
#: Where a row stands in its answer.
PLACE: Final = "_place"
_MONOTONIC: Final = time.monotonic


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


class _Answer:
    """One answer that somebody asks about, or has asked about lately.

    Attributes:
        lock: held by who makes its rows or reads them.
        rows: *set by* the first who asks; *cleared by* a statement that fails.
        askers: how many ask just now, or wait to: it is not let go meanwhile.
        asked: when somebody last did, in seconds.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: KeptRows | None = None
        self.askers = 0
        self.asked = 0.0

    @property
    def size(self) -> int:
        """In bytes."""
        return self.rows.size if self.rows is not None else 0


class Windows:
    """The answers of one mirror that are read by window.

    Args:
        clock: seconds, for what is let go.
    """

    def __init__(self, clock: Any = _MONOTONIC) -> None:
        self._clock = clock
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()
        self._lock = (
            threading.Lock()
        )  # of which answers there are; held for no statement
        self._numbers = itertools.count(1)

    def answer(self, reading: Reading, body: bytes) -> bytes:
        """Answer a WindowRequest with a SqlAnswer.

        Raises:
            InvalidQuery: one of the statements is none that may be run.
            NotFound: it names a table that is not there.
            OutOfRetention: the mirror does not reach back so far.
        """
        import duckdb

        request = msgspec.msgpack.decode(body, type=WindowRequest)
        told = SqlAnswer([])
        key = (request.of, request.of_params, request.since)
        try:
            with self._asking(key) as answer:
                rows = self._rows(reading, request, answer)
                told.tables = list(rows.tables)
                told.rows = to_stored(_window(reading, rows, request))
        except InvalidQuery as error:
            told.refused = str(error)
        except duckdb.Error as error:
            refuse_damaged(error)
            told.refused = f"SQL: {error}"
        return msgspec.msgpack.encode(told)

    def let_go(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop what nobody has asked about lately, and what there is no room for (W2).

        Args:
            connection: to the mirror, in no transaction.
        """
        for rows in self._taken_out():
            rows.drop(connection)

    # -- what is kept ------------------------------------------------------------------

    @contextmanager
    def _asking(self, key: _Key) -> Iterator[_Answer]:
        """An answer, for one at a time."""
        with self._lock:
            answer = self._answers.setdefault(key, _Answer())
            self._answers.move_to_end(key)
            answer.askers += 1
        try:
            with answer.lock:
                yield answer
        finally:
            with self._lock:
                answer.askers -= 1
                answer.asked = self._clock()
                if answer.rows is None and not answer.askers:
                    del self._answers[key]

    def _rows(
        self, reading: Reading, request: WindowRequest, answer: _Answer
    ) -> KeptRows:
        """The rows of an answer as of the reading's moment, made if they are not kept."""
        rows = answer.rows
        if rows is None or not rows.still_hold(reading):
            answer.rows = None
            # N.B. another connection: this one's transaction is not committed any more.
            connection = reading.connection.cursor()
            try:
                if rows is not None:
                    rows.drop(connection)
                statement = _statement(reading, request)
                params = from_stored(request.of_params.encode())
                name = f"r{next(self._numbers)}"
                rows = answer.rows = keep(reading, statement, params, name)
                self.let_go(connection)
            finally:
                connection.close()
        return rows

    def _taken_out(self) -> list[KeptRows]:
        """The rows to be dropped: those that were asked about longest ago."""
        before = self._clock() - knobs.KEPT_ANSWER_SECONDS
        gone = []
        with self._lock:
            total = sum(answer.size for answer in self._answers.values())
            for key, answer in list(self._answers.items()):
                is_due = answer.asked < before or total > knobs.KEPT_ANSWERS_BYTES
                if is_due and not answer.askers and answer.rows is not None:
                    total -= answer.size
                    gone.append(answer.rows)
                    del self._answers[key]
        return gone


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


# -- one window ------------------------------------------------------------------------


def _window(reading: Reading, kept: KeptRows, request: WindowRequest) -> list[Any]:
    connection = reading.connection
    inner = summarized(request.text)
    read = read_statement(connection, inner or request.text, (ROWS,))
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quoted(ROWS)} AS "
        f"SELECT *, rowid AS {quoted(PLACE)} FROM {kept.table}"
    ).fetchall()
    # The table is no table of the mirror's: nothing else is to be made readable.
    statement = Statement(read.text, (), read.tree)
    params: Any = from_stored(request.params.encode())
    if inner is not None:
        beside = Reading(connection, reading.at, {}, reading.folded, reading.known_to)
        return profile_values(Profiles(), beside, statement, params)
    rows = values_of(connection.sql(statement.text, params=params), documents=False)
    return rows if request.since is None else list(map(_with_texts, rows))


def _with_texts(row: dict[str, Any]) -> dict[str, Any]:
    """What became of a document, said in stored text: the mirror has bodies."""
    texts = {
        name: plain_text(body.encode()).decode()
        for name in BODIES
        if isinstance(body := row.get(name), str)
    }
    return row | texts
