"""`db.functions`: what functions take, give and say of themselves."""

from __future__ import annotations

import inspect

import pytest
from IPython.core.interactiveshell import InteractiveShell
from tests.kernel_ext.conftest import deploy

from convexlab.errors import NotAllowed, NotFound
from convexlab_kernel import functions as listing

TASKS = '''from convexlab import Doc, Id, Int64, http_router, internal_query, mutation, query
from typing import Literal

@mutation
def create(ctx, text: str, tags: list[str] = (), from_: Id.users | None = None) -> Id.tasks:
    """Add a task.

    Args:
        text: what is to be done.
    """
    return ctx.db.insert("tasks", {"text": text})

@query
def list_(ctx, state: Literal["open", "done"] = "open", *, most: Int64 | None = None) -> list[Doc]:
    """The tasks <b>of</b> a state."""
    return []

@internal_query
def hidden(ctx, **rest):
    return sorted(rest)
'''
HTTP = """from convexlab import http_router, Response
http = http_router()

@http.route("/hook", method="POST")
def hook(ctx, request):
    return Response("ok")
"""


@pytest.fixture
def functions(db):
    deploy(db, tasks=TASKS, http=HTTP)
    return db.functions


def test_a_function_says_what_it_takes_and_gives(functions):
    create = functions["tasks:create"]
    assert str(create.signature) == (
        "(*, text: str, tags: list[str] = UNDEFINED, "
        "from_: Id.users | None = UNDEFINED) -> Id.tasks"
    )
    assert create.args == {
        "text": "str",
        "tags": "list[str]?",
        "from": "Id.users | None?",
    }
    assert (create.kind, create.module, create.name) == ("mutation", "tasks", "create")
    assert create.doc.splitlines()[0] == "Add a task."
    assert functions["tasks:hidden"].kind == "internal query"


def test_it_is_called_as_it_is(functions, db):
    task = functions["tasks:create"](text="hi")
    assert db.query("tasks:list") == []
    assert isinstance(task, str)
    assert functions["tasks:hidden"]({"a": 1}) == ["a"]
    with pytest.raises(NotAllowed, match=r"`POST /hook` is called over HTTP"):
        functions["http:POST /hook"]()


def test_all_of_them_show_as_a_tree_of_modules(functions):
    text = repr(functions)
    assert text.splitlines() == [
        "http  (http.py)",
        "    http POST /hook",
        "tasks  (tasks.py)",
        "    mutation create(text: str, tags: list[str] = UNDEFINED, from_: Id.users | None"
        " = UNDEFINED) -> Id.tasks  # Add a task.",
        "    internal query hidden(**args)",
        "    query list(state: Literal['open', 'done'] = UNDEFINED, most: Int64 | None ="
        " UNDEFINED) -> list[dict[str, Any]]  # The tasks <b>of</b> a state.",
        "(4 functions)",
    ]
    shown = functions._repr_html_()
    assert "list(state: Literal[&#x27;open&#x27;" in shown
    assert "The tasks &lt;b&gt;of&lt;/b&gt; a state." in shown
    assert "Add a task." in functions["tasks:create"]._repr_html_()
    assert functions._ipython_key_completions_() == list(functions)


def test_what_a_notebook_keeps_of_them_is_bounded_and_says_so(functions, monkeypatch):
    assert "4 functions" in functions._repr_html_()
    monkeypatch.setattr(listing, "LISTED", 3)
    shown = functions._repr_html_()
    assert shown.count("<code>") == 3
    assert "showing 3 of 4 functions" in shown


def test_a_name_that_is_not_there_gets_the_right_one(functions):
    with pytest.raises(NotFound, match="Is `tasks:create` meant") as missing:
        functions["tasks:creat"]
    assert isinstance(missing.value, KeyError)
    assert "tasks:creat" not in functions


def test_ipythons_help_reads_it(functions, db):
    shell = InteractiveShell()
    shell.user_ns.update(create=functions["tasks:create"], db=db)
    for asked in ("create", "db.tasks.create", "db.api.tasks.create"):
        shown = shell.object_inspect_text(asked)
        assert "text: str" in shown
        assert "Add a task." in shown
    assert inspect.getdoc(db.tasks.nothing) is None
