"""`db.at` and `db.history` on a real deployment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.errors import (
    InvalidArguments,
    InvalidValue,
    NotAllowed,
    NotFound,
    OutOfRetention,
)
from convexlab_kernel.client import Database

TASKS = """from convexlab import mutation, query

@mutation
def create(ctx, text: str, n=1):
    return ctx.db.insert("pasttasks", {"text": text, "n": n})

@mutation
def change(ctx, id: str, text: str):
    ctx.db.patch(id, {"text": text})

@mutation
def remove(ctx, id: str):
    ctx.db.delete(id)

@query
def texts(ctx):
    return [t["text"] for t in ctx.db.query("pasttasks").collect()]

@query
def first(ctx):
    return ctx.db.query("pasttasks").first()
"""

BY_TEXT = """from convexlab import query

@query
def find(ctx, text: str):
    rows = ctx.db.query("indexed").with_index("by_text", text=text).collect()
    return [row["text"] for row in rows]
"""

INDEXED = """from convexlab import define_schema, define_table, v
schema = define_schema({"indexed": define_table({"text": v.string()})%s})
"""


@pytest.fixture
def tasks(db):
    deploy(db, tasks=TASKS)
    return db


def test_a_query_says_what_it_said_at_a_live_results_timestamp(tasks):
    tasks.mutation("tasks:create", text="one")
    with tasks.watch("tasks:texts") as live:
        assert live.value == ["one"]
        then = live.ts
    tasks.mutation("tasks:create", text="two")
    assert tasks.at(then).query("tasks:texts") == ["one"]
    assert tasks.at(timedelta()).query("tasks:texts") == ["one", "two"]
    assert tasks.query("tasks:texts") == ["one", "two"]


def test_values_of_then_are_as_stored(tasks):
    tasks.mutation("tasks:create", text="one", n=1)
    value = tasks.at(timedelta()).query("tasks:first")
    assert type(value["n"]) is int


def test_vectors_of_then_are_as_stored(tasks):
    """The store has them packed; neither what was nor what it was looks like that."""
    vectors = [[n / 7 + m for n in range(70)] for m in range(2)]
    document = tasks.mutation("tasks:create", text="one", n=vectors[0])
    then = int(tasks.status().ts)
    tasks.mutation("tasks:change", id=document, text="two")
    tasks.mutation("tasks:remove", id=document)
    (row,) = [
        row for row in tasks.at(then).table("pasttasks") if row["_id"] == document
    ]
    assert row["n"] == vectors[0]
    history = tasks.history("pasttasks", document)
    assert [each["document"]["n"] for each in history] == [vectors[0]] * 2


def test_the_code_of_then_runs(tasks):
    tasks.mutation("tasks:create", text="one")
    then = int(tasks.status().ts)
    deploy(tasks, tasks=TASKS.replace('t["text"]', '"new " + t["text"]'))
    assert tasks.query("tasks:texts") == ["new one"]
    assert tasks.at(then).query("tasks:texts") == ["one"]
    before = tasks.at(datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFound) as caught:
        before.query("tasks:texts")
    assert "as of 2001-01-01" in caught.value.__notes__[0]


def test_a_table_is_read_as_of_then(tasks):
    document = tasks.mutation("tasks:create", text="one")
    then = int(tasks.status().ts)
    tasks.mutation("tasks:change", id=document, text="two")
    tasks.mutation("tasks:create", text="three")
    past = tasks.at(then).table("pasttasks")
    assert [row["text"] for row in past] == ["one"]
    assert list(past.df()["text"]) == ["one"]
    assert len(past) == 1
    shown = past._repr_mimebundle_()
    assert "the newest of pasttasks as of" in shown["text/plain"]
    assert list(tasks.table("pasttasks").df()["text"]) == ["two", "three"]


def test_a_cleared_table_is_found_again(tasks):
    tasks.mutation("tasks:create", text="one")
    then = int(tasks.status().ts)
    tasks.table("pasttasks").clear()
    assert tasks.query("tasks:texts") == []
    assert tasks.at(then).query("tasks:texts") == ["one"]


def test_history_lists_revisions_with_their_times(tasks):
    began = datetime.now(UTC)
    document = tasks.mutation("tasks:create", text="one")
    tasks.mutation("tasks:change", id=document, text="two")
    tasks.mutation("tasks:remove", id=document)
    one, two = history = tasks.history("pasttasks", document)
    assert [r["document"]["text"] for r in history] == ["one", "two"]
    assert one["document"]["_id"] == document
    assert began < one["from"] < one["to"] == two["from"] < two["to"]
    assert tasks.at(one["from"]).query("tasks:texts") == ["one"]
    assert tasks.at(two["from"]).query("tasks:texts") == ["two"]
    assert tasks.at(two["to"]).query("tasks:texts") == []
    shown = history._repr_html_()
    names = re.findall("<th[^>]*>([^<]+)</th>", shown)
    assert names == ["valid from", "valid to", "text", "n"]
    assert "2 revisions" in shown


def test_the_newest_revision_has_no_end(tasks):
    document = tasks.mutation("tasks:create", text="one")
    (revision,) = tasks.history("pasttasks", document)
    assert revision["to"] is None
    assert revision["document"] == tasks.query("tasks:first")


def test_history_is_asked_by_an_id_of_the_table(tasks):
    document = tasks.mutation("tasks:create", text="one")
    tasks.table("other").insert([{"n": 1}])
    with pytest.raises(InvalidArguments, match="of `pasttasks`"):
        tasks.history("other", document)
    with pytest.raises(InvalidValue):
        tasks.history("pasttasks", "x")
    with pytest.raises(NotFound, match="no table `nope`"):
        tasks.history("nope", document)
    with (
        Database(tasks.address, authorization="Bearer x") as other,
        pytest.raises(NotAllowed),
    ):
        other.history("pasttasks", document)


def test_what_has_not_come_yet_is_refused(tasks):
    for when in (timedelta(hours=-1), datetime(9999, 1, 1, tzinfo=UTC)):
        with pytest.raises(OutOfRetention, match="has not come yet"):
            tasks.at(when).query("tasks:texts")


def test_an_index_dropped_since_is_refused(db):
    with_index = '.index("by_text", ["text"])'
    deploy(db, schema=INDEXED % with_index, find=BY_TEXT)
    db.table("indexed").insert([{"text": "a"}, {"text": "b"}])
    then = int(db.status().ts)
    assert db.at(then).query("find:find", text="a") == ["a"]
    deploy(db, schema=INDEXED % "")
    with pytest.raises(OutOfRetention, match="by_text has been removed since"):
        db.at(then).query("find:find", text="a")
    assert [row["text"] for row in db.at(then).table("indexed")] == ["a", "b"]
