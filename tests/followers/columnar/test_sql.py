"""SQL reads the documents as they are, or were, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.documents.value import Int64
from convexlab.errors import InvalidQuery, NotFound, OutOfRetention
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.sql import (
    SqlAnswer,
    SqlRequest,
    answer_of,
    answer_sql,
)
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence


class Sql:
    """The mirror of a store, asked in SQL."""

    def __init__(self, persistence: Persistence) -> None:
        self.mirror = Mirror(None, {"sql": answer_sql})
        self.following = Following(persistence, self.mirror)

    def answer(self, text: str, params: Any = (), **options: Any) -> SqlAnswer:
        self.following.advance()
        at = options.pop("at", self.mirror.watermark)
        request = SqlRequest(text, to_stored(list(params)).decode(), **options)
        told = self.mirror.answer(b"sql\n" + msgspec.msgpack.encode(request), at)
        return answer_of(told)

    def __call__(self, text: str, *params: Any, **options: Any) -> Any:
        return from_stored(self.answer(text, params, **options).rows)


@pytest.fixture
def sql(persistence: Persistence, steps: Any) -> Iterator[Sql]:
    steps(
        lambda tx: tx.insert_many(
            "messages",
            [
                {"channel": "a", "size": 3, "big": Int64(2**60)},
                {"channel": "b", "size": 4, "tags": ["x", "y"]},
                {"channel": "a", "size": 5, "mixed": {"deep": b"\0"}},
            ],
        )
    )
    steps(lambda tx: tx.insert("channels", {"name": "a", "title": "first"}))
    sql = Sql(persistence)
    yield sql
    sql.mirror.close()


def test_groups_joins_windows_and_parameters(sql: Sql):
    assert sql(
        "select channel, count(*) n, sum(size) total from messages"
        " where size >= ? group by 1 order by 1",
        3,
    ) == [
        {"channel": "a", "n": 2, "total": 8.0},
        {"channel": "b", "n": 1, "total": 4.0},
    ]
    assert sql(
        "with big as (select * from messages where size > 3)"
        " select c.title, row_number() over (order by size) as place"
        " from big join channels c on c.name = big.channel"
    ) == [{"title": "first", "place": 1}]
    assert sql("from channels select name") == [{"name": "a"}]


def test_values_come_back_as_values(sql: Sql):
    (row,) = sql(
        "select big, tags, 1.5::decimal(4, 2) as d, 2::hugeint ** 70 as huge,"
        " timestamp '2026-01-01' as t, null as n, {'a': [1]} as s"
        " from messages where big is not null"
    )
    assert row == {
        "big": Int64(2**60),
        "tags": None,
        "d": 1.5,
        "huge": 2.0**70,
        "t": 1_767_225_600_000.0,
        "n": None,
        "s": {"a": [1]},
    }
    assert isinstance(row["big"], Int64)


def test_it_names_the_tables_that_it_read(sql: Sql):
    text = (
        "with messages as (select * from messages) select * from messages"
        " where exists (select 1 from channels) or size in (select range from range(3))"
    )
    assert set(sql.answer(text).tables) == {"messages", "channels"}


def test_as_of_then(sql: Sql, steps: Any, committer: Committer):
    sql("select 1 as one")
    steps(lambda tx: tx.insert("messages", {"channel": "c"}))
    then = committer.ts
    steps(lambda tx: tx.insert("messages", {"channel": "d"}))
    count = "select count(*) as n from messages"
    assert sql(count) == [{"n": 5}]
    assert sql(count, at=then) == [{"n": 4}]


def test_a_table_that_is_gone_is_not_taken_for_an_empty_one(
    sql: Sql, steps: Any, committer: Committer
):
    from convexlab.engine.definitions import set_table_state

    count, then = "select count(*) as n from messages", committer.ts
    assert sql(count) == [{"n": 3}]
    messages = committer.catalog.tables["messages"]
    tables = {"messages": int(messages.number), "channels": 1}
    steps(lambda tx: set_table_state(tx, messages, "deleting"), system=True)
    for text in (count, "summarize messages"):
        with pytest.raises(OutOfRetention, match="no state as of"):
            sql(text, at=then, tables=tables)
    assert sql("select 1 as one", at=then, tables=tables) == [{"one": 1}]
    assert sql(count, tables=tables) == [{"n": 0}]  # of one that is not here yet


def test_the_first_rows(sql: Sql):
    """In the statement's order, under its names."""
    sizes = "select size from messages where size > ? order by size desc"
    assert sql(sizes, 1, limit=2) == [{"size": 5}, {"size": 4}]
    assert sql(f"with a as ({sizes}) from a;", 3, limit=5) == [{"size": 5}, {"size": 4}]
    assert len(sql("summarize messages", limit=1)) > 1
    with pytest.raises(InvalidQuery, match=r"column .nope. not found"):
        sql("select nope from messages", limit=2)


def test_arrow_says_what_cannot_be_computed(sql: Sql):
    text = "select cast(channel as int) from messages"
    for options in ({}, {"limit": 2}):
        with pytest.raises(
            InvalidQuery, match=r"SQL: .*Could not convert string 'a'"
        ) as e:
            sql.answer(text, arrow=True, **options)
        assert text in str(e.value)
        assert "LINE" not in str(e.value), "a line of what it was run inside of"


ENDLESS = "select count(*) from range(1000000000000000)"


@pytest.mark.parametrize("options", [{}, {"arrow": True}, {"limit": 2}])
def test_what_nobody_waits_for_any_more_is_ended(sql: Sql, options: dict[str, Any]):
    with pytest.raises(InvalidQuery, match="takes longer than a function waits"):
        sql.answer(ENDLESS, seconds=0.05, **options)
    assert sql("select 1 as one") == [{"one": 1}]


def test_arrow(sql: Sql):
    import pyarrow as pa

    answer = sql.answer("select channel, size from messages order by size", arrow=True)
    table = pa.ipc.open_stream(answer.rows).read_all()
    assert table.to_pydict() == {"channel": ["a", "b", "a"], "size": [3.0, 4.0, 5.0]}


def test_sums_of_whole_numbers_are_whole_numbers_in_arrow(sql: Sql):
    """DuckDB adds them as decimals, with which pandas does not compute."""
    import pyarrow as pa

    text = (
        "select sum(range) as n, sum(range) filter (where false) as no,"
        " 2::hugeint ** 70 + sum(range) as huge from range(4)"
    )
    table = pa.ipc.open_stream(sql.answer(text, arrow=True).rows).read_all()
    assert table.to_pylist() == [{"n": 6, "no": None, "huge": 2.0**70}]
    assert table.schema.types == [pa.int64(), pa.int64(), pa.float64()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selec 1", r'syntax error at or near "selec" \(line 1, column 1\)'),
        ("select 1\nfrom", r"line 2"),
        ("delete from messages", "reads only: write one SELECT"),
        ("select 1; select 2", "reads only: write one SELECT"),
        ("copy messages to 'x'", "reads only"),
        ("show tables", "reads only"),
        ("pragma database_list", "reads only"),
        ("select * from read_csv('/etc/passwd')", r"not `read_csv\(…\)`"),
        ("select * from duckdb_settings()", "table functions are generate_series"),
        ("select random()", "`random` changes by itself.*draw it in the function"),
        ("select now()", "`now` changes by itself.*pass the time as a parameter"),
        ("select current_date", "changes by itself"),
        ("select nope from messages", 'SQL: .*"nope" not found'),
        ("select size, size from messages", "more than one column `size`"),
        ("select interval 1 day as later", "column `later` is INTERVAL.*CAST"),
        ("select ?", "SQL: "),
    ],
)
def test_what_is_refused_says_why(sql: Sql, text: str, message: str):
    with pytest.raises(InvalidQuery, match=f"(?s){message}"):
        sql(text)


@pytest.mark.parametrize("asked", ["size = 'many'", "size > 3", "sum(size) > 3"])
def test_a_column_of_several_kinds_says_what_to_write(sql: Sql, steps: Any, asked: str):
    steps(lambda tx: tx.insert("messages", {"size": "many"}))
    for options in ({}, {"arrow": True}):
        with pytest.raises(InvalidQuery, match="`size` has values of several kinds"):
            sql.answer(f"select {asked} as x from messages", **options)
    texts = "select count(*) n from messages where \"size\"->>'$' = 'many'"
    assert sql(texts) == [{"n": 1}]
    numbers = "select sum(TRY_CAST(\"size\"->>'$' AS DOUBLE)) n from messages"
    assert sql(numbers) == [{"n": 12.0}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select * from nope", "no table `nope`. Tables: `channels`, `messages`"),
        ("select * from store.state", r"no table `store.state`: name tables as in"),
        ("select * from t10001", "no table `t10001`"),
        ("select * from information_schema.tables", "no table `information_schema"),
        ("select * from '/etc/passwd'", "no table `/etc/passwd`"),
        ("select * from _modules", "no table `_modules`"),
    ],
)
def test_only_the_schemas_tables_are_there(sql: Sql, text: str, message: str):
    with pytest.raises(NotFound, match=message):
        sql(text)
