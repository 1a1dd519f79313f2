"""`ctx.db.sql`: one SELECT over the columnar mirror, as of the transaction's snapshot.

The mirror says which tables the statement reads, and which of their documents, where its
WHERE tells: they are what the result depends on. A mutation sees all that was committed before it, and none of its own writes;
so it may not ask about a table that it has written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.documents.value import Int64, normalize
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import TABLES
from convexlab.engine.write_set import by_id_index
from convexlab.errors import InvalidArguments, InvalidQuery, NotAllowed, NotFound
from convexlab.followers.columnar.sql import SqlAnswer, SqlRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.transaction import Transaction
    from convexlab.functions.execution import Execution

    Ask = Callable[[str, bytes], bytes]

Params = Sequence[Any] | Mapping[str, Any]


def run_sql(execution: Execution, text: str, params: Params) -> list[dict[str, Any]]:
    """The rows of a statement; the engine has the floor.

    Args:
        execution: whose transaction reads.
        text: one SELECT statement.
        params: for `?` and `$1` in order, or for `$name` by name.

    Raises:
        InvalidArguments: it is no text, or the parameters are no values.
        InvalidQuery: it cannot be run, in DuckDB's words; or it takes too long.
        NotFound: it names a table that is not there.
        NotAllowed: this mutation has written to a table that it reads.
        FollowerBehind: the mirror is not that far yet.
    """
    tx = execution.tx
    ask = partial(execution.ask, at=tx.snapshot.ts)
    seconds = execution.patience_seconds + knobs.FOLLOWER_ANSWER_SECONDS / 2
    answer = _answer(tx, ask, _request(tx, text, params, seconds=seconds))
    rows = cast("list[dict[str, Any]]", from_stored(answer.rows))
    tx.has_read([len(answer.rows) // len(rows)] * len(rows) if rows else [])
    return rows


def sql_version(tx: Transaction, ask: Ask, text: str, params: Params) -> Int64:
    """A value that is another one whenever a statement's rows may be others.

    Args:
        tx: that reads.
        ask: asks a derived index, as of its snapshot.
        text: as for `run_sql`; the errors are the same, too.
        params: as for `run_sql`.
    """
    _answer(tx, ask, _request(tx, text, params, is_dry=True))
    return Int64(tx.ts)


def _answer(tx: Transaction, ask: Ask, request: bytes) -> SqlAnswer:
    """What the mirror says, with all that it depends on recorded."""
    try:
        told = ask("columnar", b"sql\n" + request)
    except NotFound:
        tx.read_set.record(by_id_index(TABLES), EVERYTHING)
        raise
    answer = msgspec.msgpack.decode(told, type=SqlAnswer)
    for name in answer.tables:
        _record(tx, name, answer.filters.get(name, ()))
    if answer.refused is not None:
        raise InvalidQuery(answer.refused)
    return answer


def _request(
    tx: Transaction,
    text: str,
    params: Params,
    *,
    is_dry: bool = False,
    seconds: float | None = None,
) -> bytes:
    if not isinstance(text, str):
        raise InvalidArguments(f"`ctx.db.sql` takes a statement's text, not {text!r}.")
    if isinstance(params, str | bytes) or not isinstance(params, Sequence | Mapping):
        raise InvalidArguments(
            f"`params` is a list for `?`, or a dict for `$name`, not {params!r}."
        )
    given = dict(params) if isinstance(params, Mapping) else list(params)
    values = to_stored(normalize(given, "params")).decode()
    tables = {table.name: int(table.number) for table in tx.catalog.user_tables()}
    return msgspec.msgpack.encode(
        SqlRequest(text, values, tables=tables, is_dry=is_dry, seconds=seconds)
    )


def _record(tx: Transaction, name: str, filters: Sequence[bytes]) -> None:
    """The statement read this table: what passes one of the filters, or all of it."""
    table = tx.table(name)
    assert table is not None, f"the mirror was told of `{name}`"
    is_long = any(len(each) > knobs.MAX_RECORDED_FILTER_BYTES for each in filters)
    for where in (None,) if is_long or not filters else filters:
        tx.read_set.open_range(
            table.by_creation_time.id, EVERYTHING, reverse=False, where=where
        ).exhausted()
    if tx.has_written(table):
        raise NotAllowed(
            f"SQL reads `{name}` as it was before this mutation, which has written to "
            "it: ask before the first write, or use `ctx.db.query`, which sees it."
        )
