"""`db` on a real deployment."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.documents.value import Int64
from convexlab.errors import (
    ConvexError,
    NotAllowed,
    SchemaViolation,
)
from convexlab_kernel.client import Database
from convexlab_kernel.results import Documents

TASKS = """from convexlab import ConvexError, mutation, query

@mutation
def create(ctx, text: str, n=None):
    return ctx.db.insert("tasks", {"text": text, "n": n})

@query
def list_(ctx, done=None):
    return ctx.db.query("tasks").collect()

@query
def count(ctx):
    print("counting", 1)
    return len(ctx.db.query("tasks").collect())

@query
def echo(ctx, x=None, from_=None):
    return {"x": x, "from": from_}

@query
def maybe(ctx):
    rows = ctx.db.query("tasks").collect()
    if len(rows) == 1:
        raise ConvexError("just one")
    return len(rows)
"""

SCHEMA = """from convexlab import define_schema, define_table, v
schema = define_schema({"strict": define_table({"n": v.number()})})
"""


@pytest.fixture
def tasks(db):
    deploy(db, tasks=TASKS)
    return db


def test_values_come_out_as_they_were_written(tasks):
    for value in [1, 1.0, Int64(5), b"\0", "text", None, True, [1, {"a": 2.5}], -0.0]:
        got = tasks.query("tasks:echo", x=value)["x"]
        assert got == value
        assert type(got) is type(value)


def test_a_list_of_documents_shows_as_a_table(tasks):
    tasks.mutation("tasks:create", text="hi")
    rows = tasks.query("tasks:list")
    assert isinstance(rows, Documents)
    assert "1 document" in rows._repr_html_()
    assert rows.df()["text"].tolist() == ["hi"]


def test_tables_are_listed(tasks):
    tasks.mutation("tasks:create", text="hi")
    assert "tasks" in tasks.tables
    assert "tasks" in repr(tasks.tables)


# -- tables ----------------------------------------------------------------------


def test_a_table_takes_frames_and_dicts_and_gives_them_back(db):
    import pandas as pd

    table = db.table("people")
    frame = pd.DataFrame({"name": ["a", "b"], "age": [1.5, None], "n": [1, 2]})
    assert table.insert(frame) == 2
    assert table.insert({"name": "c", "big": Int64(7)}) == 1
    assert len(table) == 3
    back = table.df()
    assert back["name"].tolist() == ["a", "b", "c"]
    assert back["n"].tolist()[:2] == [1, 2]
    assert str(back["_creationTime"].dtype).startswith("datetime64")
    assert table.collect()[2]["big"] == Int64(7)
    assert "age" not in table.collect()[1]
    assert [row["name"] for row in table.take(2)] == ["c", "b"]
    assert table.polars()["name"].to_list() == table.arrow()["name"].to_pylist()
    assert "3 documents" in table._repr_mimebundle_()[0]["text/html"]
    table.clear()
    assert len(table) == 0


def test_many_documents_keep_the_order_of_their_rows(db):
    table = db.table("many")
    assert table.insert([{"n": i} for i in range(9_001)]) == 9_001
    assert [row["n"] for row in table] == list(range(9_001))


def test_a_refused_row_is_named_by_its_number(db):
    deploy(db, schema=SCHEMA)
    rows = [{"n": i} for i in range(12_000)] + [{"n": "text"}]
    with pytest.raises(SchemaViolation, match=r"^Row 12001: .*") as refused:
        db.table("strict").insert(rows)
    assert any(
        "were already written to `strict`" in note for note in refused.value.__notes__
    )


def test_a_table_is_watched(db):
    table = db.table("watched")
    table.insert({"n": 1})
    with table.watch() as live:
        assert [row["n"] for row in live.value] == [1]
        table.insert({"n": 2})
        live.wait_for(lambda rows: len(rows) == 2)
        assert (
            "application/vnd.convexlab.live.v1+json" not in live._repr_mimebundle_()[0]
        )


# -- live results ----------------------------------------------------------------


def test_a_live_result_stays_current(tasks):
    with tasks.watch("tasks:count") as live:
        assert live.value == 0
        before = live.ts
        tasks.mutation("tasks:create", text="hi")
        assert live.wait_for(lambda n: n == 1) == 1
        assert live.ts > before
        assert live.error is None


def test_a_failed_query_says_so_and_comes_back(tasks):
    with tasks.watch("tasks:maybe") as live:
        assert live.value == 0
        changed = threading.Event()
        live._result.watch(changed.set)
        tasks.mutation("tasks:create", text="hi")
        assert changed.wait(60)
        with pytest.raises(ConvexError) as refused:
            _ = live.value
        assert refused.value.data == "just one"
        assert isinstance(live.error, ConvexError)
        tasks.mutation("tasks:create", text="hi")
        assert live.wait_for(lambda n: n == 2) == 2


def test_l1_changes_are_told_one_at_a_time_newest_last(tasks, capsys):
    told, done = [], threading.Event()

    def tell(n):
        told.append((n, threading.current_thread().name))
        if n == 1:
            raise ValueError("shown")
        if n == 4:
            done.set()

    with tasks.watch("tasks:count") as live:
        end = live.on_change(tell)
        for _ in range(4):
            tasks.mutation("tasks:create", text="x")
        assert done.wait(60)
        end()
    numbers = [n for n, _ in told]
    assert numbers == sorted(numbers)
    assert {name for _, name in told} == {"convexlab-on-change"}


async def test_a_live_result_is_iterated(tasks):
    with tasks.watch("tasks:count") as live:
        seen = []
        async for value in live:
            seen.append(value)
            if value == 2:
                break
            await asyncio.to_thread(tasks.mutation, "tasks:create", text="x")
    assert seen == [0, 1, 2]


def test_views_are_what_is_held_or_as_told(tasks):
    with tasks.watch("tasks:count") as live:
        assert live.value == 0
        assert live.view == {"kind": "metric"}
        assert live.tree().view == {"kind": "tree"}
        assert live.table(columns=["a"]).view == {"kind": "table", "columns": ["a"]}


def test_a_closed_result_is_told_no_more(tasks):
    live = tasks.watch("tasks:count")
    assert live.value == 0
    live.close()
    told = []
    live._result.watch(lambda: told.append(1))
    with tasks.watch("tasks:count") as other:
        tasks.mutation("tasks:create", text="x")
        other.wait_for(lambda n: n == 1)
    assert told == []


def test_a_wrong_key_is_refused(tasks):
    stranger = Database(tasks.address, authorization="Convex convexlab|wrong")
    with stranger, pytest.raises(NotAllowed):
        stranger.query("tasks:count")


def test_a_wrong_key_ends_what_is_followed(tasks):
    stranger = Database(tasks.address, authorization="Convex convexlab|wrong")
    with stranger, stranger.watch("tasks:count") as live:
        with pytest.raises(NotAllowed):
            live.wait_for(lambda n: n is not None)
        assert isinstance(live.error, NotAllowed)


NUMBERS = """
from convexlab import ConvexError, Int64, query

ALL = [1, 1.0, -0.0, 2**53, 1e300, float("inf"), Int64(7), {"n": 3, "x": [2.5, 4]}]

@query
def all_(ctx, fail: bool):
    if fail:
        raise ConvexError({"n": 1, "x": 1.0})
    return ALL

@query
def documents(ctx):
    return ctx.db.query("numbers").collect()
"""


def test_a_value_is_the_same_however_it_comes(db):
    """A number that was written as `51` is `51` to whoever asks and whoever follows."""
    deploy(db, numbers=NUMBERS)
    db.table("numbers").insert([{"n": 51, "x": 51.0}])
    for path, args in (("numbers:all", {"fail": False}), ("numbers:documents", {})):
        with db.watch(path, args) as live:
            assert repr(live.value) == repr(db.query(path, args))
    assert (live.value[0]["n"], str(live.value[0]["n"])) == (51, "51")
    with (
        db.watch("numbers:all", fail=True) as live,
        pytest.raises(ConvexError) as followed,
    ):
        _ = live.value
    with pytest.raises(ConvexError) as asked:
        db.query("numbers:all", fail=True)
    assert repr(followed.value.data) == repr(asked.value.data)
