"""Completion in a real IPython and a real kernel, with a real deployment's names."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from tests.kernel_ext.conftest import deploy, empty

from convexlab import knobs
from convexlab_kernel import discovery
from convexlab_kernel.client import Database
from convexlab_kernel.discovery import Address
from convexlab_kernel.known import Known

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "tasks": define_table({"text": v.string(), "owner": v.string()})
    .index("by_owner", ["owner"]),
})
"""
TASKS = """
from convexlab import mutation, query, internal_mutation

@mutation
def create(ctx, text: str, owner: str): ...

@query
def list_(ctx, limit: int = 10): ...

@internal_mutation
def clear(ctx): ...
"""


@pytest.fixture(scope="module")
def tasks(project):
    """The deployment with these modules, for all tests here."""
    with Database(discovery.attach(project / ".convexlab" / "local")) as database:
        empty(database)
        deploy(database, schema=SCHEMA, tasks=TASKS, shared="x = 1")
        database.table("loose").insert([{"colour": 1}, {"size": 2}])
        yield database


@pytest.fixture(scope="module")
def shell(tasks, project):
    """An IPython of this process with the extension, which has all the time it needs."""
    with contextlib.chdir(project), pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs, "COMPLETION_SECONDS", 60)
        one = InteractiveShell()
        one.Completer.use_jedi = False
        one.run_line_magic("load_ext", "convexlab")
        one.user_ns |= {"db": tasks, "json": json, "deck": {"by_suit": 1}}
        yield one
        one.extension_manager.unload_extension("convexlab")


@pytest.fixture
def complete(shell):
    """What a text may become, as a front end would put it."""

    def complete(text):
        with provisionalcompleter():
            found = list(shell.Completer.completions(text, len(text)))
        return sorted(text[: one.start] + one.text for one in found)

    return complete


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%convex ru", ["run"]),
        ("%convex data ta", ["tasks"]),
        ("%convex run tas", ["tasks:clear", "tasks:create", "tasks:list"]),
        ("%convex watch tas", ["tasks:list"]),
        ("x = 1\nrows = %convex run tasks:cr", ["tasks:create"]),
        ("%convex run --deployment local tasks:l", ["tasks:list"]),
        ("%convex run --deployment lo", ["local"]),
        ('%convex run tasks:create {"te', ["text"]),
        ('%convex run tasks:create {"text": "x", "', ["owner", "text"]),
        ("%convex data tasks --li", ["--limit"]),
        ("%convex data tasks --order d", ["desc"]),
        ("%convex import x.csv --table ta", ["tasks"]),
        ("%convex remove sh", ["shared"]),
        ("%convex env re", ["remove"]),
        ("%convex help wat", ["watch"]),
        ("%convex use lo", ["local"]),
        ("%%convex ta", ["tasks"]),
        ("%%convex sha", ["shared"]),
        ("# %%convex tasks --d", ["--deployment", "--dry-run"]),
        ("%%convex tasks --deployment lo", ["local"]),
        ('%%convex x\ndef f(ctx):\n    ctx.db.query("ta', ["tasks"]),
        ('# %%convex x\nctx.db.query("tasks").with_index("by_o', ["by_owner"]),
        ('%%convex x\nctx.db.insert("tasks", {"te', ["text"]),
        ('%%live\ndb.query("tas', ["tasks:list"]),
        ('db.mutation("tasks:cr', ["tasks:create"]),
        ('db.table("ta', ["tasks"]),
    ],
)
def test_a_word_completes(complete, text, words):
    begun = next(
        text[:at] for at in range(len(text) + 1) if words[0].startswith(text[at:])
    )
    assert complete(text) == [begun + word for word in words]


def test_keywords_stand_beside_other_names(complete):
    assert 'db.query("tasks:list", limit=' in complete('db.query("tasks:list", li')
    assert 'db.query("tasks:list", list' in complete('db.query("tasks:list", li')


def test_fields_of_a_table_without_a_schema_are_those_it_has(complete):
    text = '%%convex x\nctx.db.query("loose").order_by("'
    added = {one.removeprefix(text) for one in complete(text)}
    assert added == {"colour", "size", "_id", "_creationTime"}


def test_other_completion_is_left_alone(complete):
    assert complete("json.du") == ["json.dump", "json.dumps"]
    assert complete('deck["by') == ['deck["by_suit']
    assert "import json" in complete("import js")


def test_a_name_that_was_just_pushed_completes(complete, tasks):
    assert "%convex run tasks:more" not in complete("%convex run tasks:")
    deploy(tasks, tasks=f"{TASKS}\n@query\ndef more(ctx): ...\n")
    assert "%convex run tasks:more" in complete("%convex run tasks:")


def test_what_is_late_is_there_the_next_time(tasks, monkeypatch):
    """And the keystroke does not wait for it."""
    known = Known(tasks, seconds=0)
    is_asked, ask_all = threading.Event(), known._ask_all
    monkeypatch.setattr(known, "_ask_all", lambda: is_asked.wait(60) and ask_all())
    assert not known.inventory().tables
    is_asked.set()
    thread = known._asking[""]
    thread.join(60)
    assert "tasks" in known.inventory().tables


def test_a_deployment_that_does_not_run_is_not_started():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # and does not listen
        address = Address("gone", f"http://127.0.0.1:{one.getsockname()[1]}", "gone|k")
        with Database(address) as gone:
            assert not Known(gone, seconds=60).inventory().tables


def test_a_kernel_answers_a_page(tasks, project):
    """As JupyterLab asks: the whole cell, and where the cursor is."""
    manager, client = start_new_kernel(cwd=str(project))
    with contextlib.ExitStack() as ends:
        ends.callback(manager.shutdown_kernel, now=True)
        ends.callback(client.stop_channels)
        said = client.execute_interactive("%load_ext convexlab")
        assert said["content"]["status"] == "ok"
        code = '# %%convex x\ndef f(ctx):\n    ctx.db.query("ta")\n    return 1\n'
        at = code.index('ta"') + 2
        reply = {"matches": []}
        while not reply["matches"]:  # the first keystrokes may come too early
            reply = client.complete(code, at, reply=True, timeout=60)["content"]
    assert reply["matches"] == ["tasks"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (at - 2, at)
