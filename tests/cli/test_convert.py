"""`convexlab convert` and `convexlab deploy` of notebooks, on a real deployment."""

from __future__ import annotations

import re

import pytest
from tests.kernel_ext.notebooks import notebook

from convexlab.errors import PushFailed
from convexlab_kernel.client import Database, connect
from convexlab_kernel.pushing import push

SCHEMA = """%%convex schema
from convexlab import define_schema, define_table, v

schema = define_schema({"tasks": define_table({"text": v.string()})})
"""
TASKS = """%%convex tasks
from convexlab import Doc, query
from .shared import tidy

@query
def list_(ctx) -> list[Doc]:
    return [tidy(one) for one in ctx.db.query("tasks").collect()]
"""
MORE = """%%convex tasks --add
from convexlab import mutation

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": text})
"""
SHARED = """%%convex shared
def tidy(document):
    return {"text": document["text"].strip()}
"""
CELLS = (
    "md:# Tasks",
    SCHEMA,
    "md:Small things.",
    SHARED,
    "md:What to do.",
    TASKS,
    MORE,
)


@pytest.fixture
def db(project, convexlab):
    with connect() as database:
        push(database, [], mode="replace_all")
        yield database


def sources(database: Database):
    from convexlab_kernel.pushing import Module

    paths = [module.path for module in database.status().modules]
    get = database.attachment.get
    return {
        path: get(f"/api/convexlab/module?path={path}", Module).source for path in paths
    }


def test_what_is_converted_is_pushed_by_dev(project, convexlab, db):
    notebook(project / "work.ipynb", *CELLS)
    said = convexlab("convert", "work.ipynb", "-o", "made")
    assert said == "made/ ← new: schema, shared, tasks"
    assert "pushed: schema, shared, tasks" in convexlab("dev", "made", "--once")
    db.mutation("tasks:create", text=" hi ")
    assert [one["text"] for one in db.query("tasks:list")] == ["hi"]
    assert convexlab("convert", "work.ipynb", "-o", "made").endswith(
        "unchanged: schema, shared, tasks"
    )
    assert "pushed: nothing new" in convexlab("dev", "made", "--once")
    notebook(project / "work.ipynb", *CELLS[:-1])
    assert "changed: tasks · unchanged" in convexlab(
        "convert", "work.ipynb", "-o", "made"
    )
    assert "pushed: tasks" in convexlab("dev", "made", "--once")
    assert "tasks:create" not in db.functions


def test_a_deployed_notebook_is_what_its_cells_push(project, convexlab, db):
    notebook(project / "work.ipynb", *CELLS, "%%convex old\nx = 1")
    push(db, [{"path": "other", "source": "y = 1", "origin": {"kind": "file"}}])
    said = convexlab("deploy", "work.ipynb")
    assert re.fullmatch("deployed: 2 functions to local, [0-9a-f]{12}", said)
    pushed = sources(db)
    assert pushed["tasks"] == (
        TASKS.replace("%%convex", "# %%convex") + MORE.replace("%%convex", "# %%convex")
    )
    tasks = db.status().module("tasks")
    assert str(tasks.origin) == "work.ipynb, cell 7"
    assert tasks.pushed_ms > 1e12
    notebook(project / "work.ipynb", *CELLS)
    convexlab("deploy", "work.ipynb")
    assert sorted(sources(db)) == ["other", "schema", "shared", "tasks"]


def test_it_is_proved_that_what_is_deployed_is_the_notebook(project, convexlab, db):
    """By a digest, which fails by name of the module where the two differ."""
    notebook(project / "work.ipynb", *CELLS)
    push(db, [{"path": "other", "source": "y = 1", "origin": {"kind": "file"}}])
    said = convexlab("deploy", "work.ipynb", "--check", status=1)
    assert "`tasks` is not there" in said
    assert sorted(sources(db)) == ["other"]  # it was looked at, no more
    code = convexlab("deploy", "work.ipynb").rpartition(", ")[2]
    assert (
        convexlab("deploy", "work.ipynb", "--check") == f"local runs this code: {code}"
    )

    # The comment form is the same code; one letter is not.
    cells = [cell.replace("%%convex", "# %%convex") for cell in CELLS]
    notebook(project / "work.ipynb", *cells)
    assert convexlab("deploy", "work.ipynb", "--check").endswith(code)
    notebook(project / "work.ipynb", *cells[:-1], f"{cells[-1]}\n# more\n")
    said = convexlab("deploy", "work.ipynb", "--check", status=1)
    assert "`tasks` is another one (there it came from work.ipynb, cell 7)" in said
    assert code not in said

    # A folder is all that is deployed.
    (project / "only").mkdir()
    (project / "only" / "other.py").write_text("y = 1")
    said = convexlab("deploy", "only", "--check", status=1)
    assert "`tasks` is there and not here" in said
    assert "other" not in said
    code = convexlab("deploy", "only").rpartition(", ")[2]
    assert convexlab("deploy", "only", "--check") == f"local runs this code: {code}"


def test_what_is_wrong_is_said_by_cell_and_line(project, convexlab, db):
    notebook(project / "work.ipynb", "md:x", "%%convex a\n\ny = 1/0\n")
    said = convexlab("deploy", "work.ipynb", status=1)
    assert said.startswith("work.ipynb, cell 2 (`%%convex a`), line 3: ")
    assert "ZeroDivisionError" in said
    notebook(project / "work.ipynb", "%%convex a\ny = x\n")
    said = convexlab("convert", "work.ipynb", "-o", "bad", status=1)
    assert "cell 1 (`%%convex a`), line 2: `x` is not defined." in said
    assert not (project / "bad").exists()
    assert "no notebook none.ipynb" in convexlab("convert", "none.ipynb", status=1)


def test_a_reference_to_nothing_is_refused_where_all_is_deployed(
    project, convexlab, db
):
    source = (
        "%%convex a\nfrom convexlab import internal, mutation\n@mutation\n"
        "def f(ctx):\n    ctx.run_mutation(internal.nobody.there)\n"
    )
    notebook(project / "work.ipynb", source)
    assert "nobody:there" in convexlab("deploy", "work.ipynb", status=1)
    assert sources(db) == {}
    (project / "functions").mkdir()
    (project / "functions" / "a.py").write_text(source.replace("%%", "# "))
    assert "nobody:there" in convexlab("deploy", "functions", status=1)
    assert "pushed: a" in convexlab("dev", "functions", "--once")
    with pytest.raises(PushFailed):
        push(db, [{"path": "a", "source": "1/0"}])
