"""What a call comes to: a value, what was printed, a failure that says what to write."""

from __future__ import annotations

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.documents.value import Int64
from convexlab.errors import (
    CallerError,
    ConvexError,
    FunctionFailed,
    InvalidArguments,
    NotFound,
)

TASKS = """from convexlab import ConvexError, Int64, internal_query, mutation, query

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": text})

@query
def list_(ctx):
    print("counting", 1)
    return ctx.db.query("tasks").collect()

@query
def refuse(ctx):
    raise ConvexError({"code": "not_found", "n": Int64(5)})

@query
def boom(ctx):
    return 1 / 0

@internal_query
def hidden(ctx):
    return "seen"
"""


@pytest.fixture
def tasks(db):
    deploy(db, tasks=TASKS)
    return db


def test_failures_are_typed(tasks):
    with pytest.raises(ConvexError) as refused:
        tasks.query("tasks:refuse")
    assert refused.value.data == {"code": "not_found", "n": Int64(5)}
    with pytest.raises(
        FunctionFailed, match="ZeroDivisionError: division by zero"
    ) as failed:
        tasks.query("tasks:boom")
    assert 'File "convex/tasks.py", line 18, in boom' in failed.value.traceback
    with pytest.raises(InvalidArguments):
        tasks.mutation("tasks:create", text=5)


def test_a_wrong_name_gets_the_right_one(tasks):
    tasks.mutation("tasks:create", text="hi")
    for call in (tasks.query, tasks.mutation, tasks.action, tasks.run):
        for name in ("tasks:lst", "tasks.list", "list"):
            with pytest.raises(NotFound, match="Could not find function") as missing:
                call(name)
            assert missing.value.__notes__ == ["Is `tasks:list` meant?"]
        table = r"`tasks` is a table, not a function: db.table\('tasks'\)"
        with pytest.raises(NotFound, match=table):
            call("tasks")


def test_a_function_of_another_kind_says_what_runs_it(tasks):
    with pytest.raises(CallerError, match="is defined as Query") as wrong:
        tasks.mutation("tasks:list")
    assert wrong.value.__notes__ == ["It is run by db.query('tasks:list', …)."]


def test_log_lines_are_printed_where_the_call_is(tasks, capsys):
    tasks.query("tasks:list")
    assert capsys.readouterr().out == "tasks:list [LOG] 'counting' 1\n"


def test_the_key_opens_internal_functions(tasks):
    assert tasks.query("tasks:hidden") == "seen"
