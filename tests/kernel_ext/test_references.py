"""Functions are named by paths, attributes or themselves; arguments go by name or as a dict."""

from __future__ import annotations

import inspect

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab import api, query
from convexlab.documents.value import Int64
from convexlab.errors import InvalidArguments, NotAllowed, NotFound
from convexlab_kernel.references import arguments_of, path_of

TASKS = """from convexlab import mutation, query

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": text})

@query
def list_(ctx):
    \"\"\"All tasks.\"\"\"
    return ctx.db.query("tasks").collect()

@query
def echo(ctx, x=None, from_=None):
    return {"x": x, "from": from_}

@query
def path(ctx):
    \"\"\"Its own.\"\"\"
    return "of the user"
"""


@pytest.fixture
def tasks(db):
    deploy(db, tasks=TASKS)
    return db


def test_arguments_go_by_name_or_as_a_dict(tasks):
    assert tasks.query("tasks:echo", from_="a")["from"] == "a"
    assert tasks.query("tasks:echo", {"from": "a"})["from"] == "a"
    with pytest.raises(InvalidArguments, match="not both"):
        tasks.query("tasks:echo", {"x": 1}, x=1)
    with pytest.raises(InvalidArguments):
        tasks.query("tasks:echo", [1])


def test_functions_are_attributes_too(tasks):
    task = tasks.tasks.create(text="hi")
    assert tasks.api.tasks.list()[0]["_id"] == task
    assert tasks.tasks.list_()[0]["_id"] == task
    with pytest.raises(NotFound, match=r"db.MODULE.FUNCTION"):
        tasks.api.tasks()
    assert "All tasks." in tasks.tasks.list.__doc__
    assert list(inspect.signature(tasks.tasks.create).parameters) == ["text"]
    assert repr(tasks.tasks.create) == "<db.tasks.create>"
    assert tasks.tasks.path() == "of the user"
    assert "Its own." in tasks.tasks.path.__doc__


def test_a_path_is_of_whatever_names_a_function(db):
    assert path_of("tasks:list") == "tasks:list"
    assert path_of(db.api.admin.users.list) == "admin/users:list"
    assert path_of(db.tasks.from_) == "tasks:from"
    assert path_of(db.tasks) == path_of(api.tasks) == "tasks:default"
    assert path_of(api.tasks.list_) == "tasks:list"

    @query
    def here(ctx):
        return ctx

    with pytest.raises(NotAllowed, match="name it by path"):
        path_of(here)
    for unnamed in (5, db.api, api):
        with pytest.raises(InvalidArguments, match="name"):
            path_of(unnamed)


def test_arguments_are_stored_json():
    named = arguments_of("db.query(ref, …)", None, {"n": Int64(5), "from_": 1})
    assert named == arguments_of("db.query(ref, …)", {"n": Int64(5), "from": 1}, {})
    with pytest.raises(
        InvalidArguments, match=r"`db.query\(ref, …\)`.* this is a list"
    ):
        arguments_of("db.query(ref, …)", [1], {})
