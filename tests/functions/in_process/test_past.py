"""A deployment in one process remembers what it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from convexlab.errors import NotFound, OutOfRetention
from convexlab.testing import deployment

TASKS = """
    from convexlab import mutation, query

    @query
    def mine(ctx):
        return ctx.auth.get_user_identity()

    @query
    def texts(ctx):
        return [task["text"] for task in ctx.db.query("tasks").with_index("by_text")]
"""

SCHEMA = """
    from convexlab import define_schema, define_table, v
    schema = define_schema({"tasks": define_table({"text": v.string()})%s})
"""
INDEXED = SCHEMA % '.index("by_text", ["text"])'


@pytest.fixture
def t():
    return deployment({"tasks": TASKS, "schema": INDEXED})


def test_now_is_after_all_that_was_committed(t):
    t.table("tasks").insert([{"text": str(n)} for n in range(5000)])
    then = t.now
    assert len(t.at(then).table("tasks")) == 5000
    t.table("tasks").insert({"text": "more"})
    assert len(t.at(then).table("tasks")) == 5000


def test_the_code_of_then_runs_for_the_same_user(t):
    then = t.now
    t.push({"other": TASKS})
    ann = t.as_user(subject="ann")
    assert ann.at(then).query("tasks:mine")["subject"] == "ann"
    with pytest.raises(NotFound):
        t.at(then).query("other:list")
    with pytest.raises(NotFound):
        t.at(timedelta()).query("tasks:texts")


def test_an_index_that_was_dropped_since_says_so(t):
    t.table("tasks").insert([{"text": "b"}, {"text": "a"}])
    then = t.now
    assert t.at(then).query("tasks:texts") == ["a", "b"]
    t.push({"tasks": TASKS, "schema": SCHEMA % ""})
    with pytest.raises(OutOfRetention, match="by_text has been removed since"):
        t.at(then).query("tasks:texts")
