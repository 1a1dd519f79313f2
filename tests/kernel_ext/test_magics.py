"""`%convex` and `%%convex` in a real kernel on a real deployment."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from convexlab.engine.compiled import engine_in_words

TASKS = """from convexlab import query, mutation

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": text, "n": 1})

@query
def list_(ctx, limit: int = 10):
    return ctx.db.query("tasks").order("desc").take(limit)
"""


def test_a_cell_is_pushed_and_called_from_the_next(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        "import convexlab\ndb = convexlab.connect()\nid = db.mutation('tasks:create', text='hi')",
        "rows = %convex run tasks:list {\"limit\": 3}\n[(r['text'], r['n'], r['_id'] == id) for r in rows]",
        "'create' in globals(), 'query' in globals()",
    )
    assert "convexlab: local" in ran.text(1)
    assert ran.text(2) == "tasks → local: mutation create · query list"
    assert ran.text(4) == "[('hi', 1, True)]"
    assert ran.text(5) == "(False, False)"


def test_both_spellings_mean_the_same(run, db):
    ran = run(f"\n\n# %%convex tasks\n{TASKS}\nkernel = 1", "'kernel' in globals()")
    assert "mutation create" in ran.text(2)
    assert ran.text(3) == "False"
    spelled = source_of(db, "tasks")
    run(f"\n\n%%convex tasks\n{TASKS}\nkernel = 1")
    assert source_of(db, "tasks") == spelled


def source_of(db, path):
    from convexlab_kernel.pushing import Module

    return db.attachment.get(f"/api/convexlab/module?path={path}", Module).source


def test_a_broken_cell_names_its_line_and_leaves_the_last_good_version(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        "%%convex tasks\nfrom convexlab import query\n\nx = 1/0\n",
        "%%convex tasks\nfrom convexlab import query\n@query\ndef f(:\n    pass\n",
        "%convex run tasks:list",
    )
    name, text = ran.error(3)
    assert name == "PushFailed"
    assert "Cell In[3], line 4" in text
    assert "----> 4 x = 1/0" in text
    assert "ZeroDivisionError" in text
    assert "convexlab_kernel" not in text
    assert "      1 %%convex" not in text
    name, text = ran.error(4)
    assert name == "PushFailed"
    assert "Cell In[4], line 4" in text
    assert "----> 4 def f(:" in text
    assert text.splitlines()[-1].startswith("PushFailed: SyntaxError: ")
    assert "get_ipython" not in text
    assert ran.error(5) is None


def test_a_later_call_names_both_cells_lines(run):
    ran = run(
        "# %%convex tasks\nfrom convexlab import mutation\n\n@mutation\ndef boom(ctx, a: int):\n"
        "    b = a + 1\n    return helper(b)\n\ndef helper(b):\n    return b / 0\n",
        "import convexlab\ndb = convexlab.connect()",
        "x = 1\ndb.mutation('tasks:boom', a=3)",
        "%convex run tasks:boom {'a': 3}",
    )
    name, text = ran.error(4)
    assert name == "FunctionFailed"
    lines = [line for line in text.splitlines() if line.startswith(("Cell", "---->"))]
    assert lines == [
        "Cell In[4], line 2",
        "----> 2 db.mutation('tasks:boom', a=3)",
        "Cell In[2], line 7, in tasks:boom",
        "----> 7     return helper(b)",
        "Cell In[2], line 10, in tasks:helper",
        "----> 10     return b / 0",
    ]
    assert (
        text.splitlines()[-1] == "FunctionFailed: ZeroDivisionError: division by zero"
    )
    assert "Cell In[2], line 10, in tasks:helper" in ran.error(5)[1]
    assert "----> 1 %convex run tasks:boom {'a': 3}" in ran.error(5)[1]


def test_a_variable_of_the_kernel_is_pointed_out(run):
    ran = run(
        "threshold = 3",
        "%%convex tasks\nfrom convexlab import query\n@query\ndef f(ctx):\n    return threshold\n",
        "%convex run tasks:f",
    )
    name, text = ran.error(4)
    assert name == "FunctionFailed"
    assert "Cell In[3], line 5" in text
    explained = (
        "`threshold` is a variable of this notebook, and a module does not see it"
    )
    assert explained in text
    assert f"Warning: line 5: {explained}" in ran.text(3)


def test_cells_add_to_a_module_and_replace_what_they_added(run):
    part = "%%convex tasks --add\nfrom __future__ import annotations\nfrom convexlab import query\n@query\ndef {name}(ctx):\n    return {value}\n"
    ran = run(
        part.format(name="one", value=1),
        "\n" + part.format(name="two", value="2/0"),
        part.format(name="one", value=11),
        "import convexlab; db = convexlab.connect(); db.query('tasks:one')",
        "db.query('tasks:two')",
    )
    assert "query one" in ran.text(4)
    assert "two" in ran.text(4)
    assert ran.text(5) == "11"
    assert "Cell In[3], line 7, in tasks:two" in ran.error(6)[1]
    again = run(part.format(name="three", value=3), "%convex run tasks:one")
    assert again.text(3) == "11"


def test_a_dry_run_changes_nothing(run, db):
    ran = run(f"%%convex tasks --dry-run\n{TASKS}")
    assert ran.text(2).startswith("tasks checked against local: ")
    assert db.status().module("tasks") is None


def test_a_module_from_elsewhere_is_named_when_it_is_replaced(run, db):
    from tests.kernel_ext.conftest import deploy

    deploy(db, tasks=TASKS)
    other = f"%%convex tasks\n{TASKS}\nN = 1"
    ran = run(other, other, f"%%convex tasks\n{TASKS}")
    assert (
        "Warning: this replaces the module `tasks` that came from tasks.py."
        in ran.text(2)
    )
    assert "Warning" not in ran.text(3)
    assert "Warning" not in ran.text(4)


def test_nothing_is_said_where_the_same_module_comes_from_elsewhere(run, db):
    from tests.kernel_ext.conftest import deploy

    deploy(db, tasks=TASKS)
    assert "Warning" not in run(f"%%convex tasks\n{TASKS}").text(2)


def test_a_notebook_that_was_renamed_replaces_its_own_modules(run, tmp_path):
    """Two notebooks that push the same module are told; one that is not there any more is none."""

    def pushed_by(name, source):
        (tmp_path / name).touch()
        return run(
            f"PAPERMILL_INPUT_PATH = {str(tmp_path / name)!r}",
            f"%%convex tasks\n{TASKS}\nN = {source!r}",
        ).text(3)

    pushed_by("first.ipynb", "one")
    assert "that came from first.ipynb, In[3]." in pushed_by("second.ipynb", "two")
    (tmp_path / "second.ipynb").unlink()
    assert "Warning" not in pushed_by("renamed.ipynb", "three")


def test_the_schema_is_a_cell_and_refuses_by_its_line(run):
    schema = "%%convex schema\nfrom convexlab import define_schema, define_table, v\nschema = define_schema({\n    'tasks': define_table({'text': v.string(), 'n': v.number()})TAIL,\n})"
    ran = run(
        schema.replace("TAIL", ""),
        schema.replace("TAIL", ".index('_bad', ['text'])"),
        f"%%convex tasks\n{TASKS}",
        "%convex run tasks:create {'text': 5}",
    )
    assert ran.text(2) == "schema → local: tables tasks"
    name, text = ran.error(3)
    assert name == "PushFailed"
    assert "Cell In[3], line 4" in text
    assert ran.error(5)[0] == "InvalidArguments"


def test_undecorated_pushes_are_said(run):
    ran = run(
        "from convexlab import query\n@query\ndef lonely(ctx):\n    return 1", "x = 1"
    )
    assert ran.text(2).startswith("Not pushed: `lonely`.")
    assert ran.text(3) == ""


def test_arguments_are_notebook_expressions_and_braces_stay(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        "n = 2\nfor i in range(4):\n    %convex run tasks:create {'text': f'{i}'}",
        'rows = %convex run tasks:list {"limit": n}\nlen(rows), rows[0]["text"]',
        '%convex run tasks:list {"limit": nope}',
        "%convex run tasks:lst",
        "%convex frob",
        "%convex data tasks --limit 2",
        "%convex data taks",
        "%convex",
        "%convex remove tasks",
        "%convex remove tasks",
    )
    assert ran.text(4) == "(2, '3')"
    assert ran.error(5)[0] == "InvalidArguments"
    assert ran.error(6)[0] == "NotFound"
    assert "does not know `frob`" in ran.error(7)[1]
    assert "(2 documents · as of" in ran.text(8)
    assert "Is `tasks` meant?" in ran.error(9)[1]
    assert "module tasks: mutation create, query list" in ran.text(10)
    assert "table tasks: 4 documents" in ran.text(10)
    assert ran.text(11) == "tasks is no longer in local"
    assert ran.error(12)[0] == "NotFound"


def test_another_local_deployment_is_made_opened_and_ended(run):
    ran = run(
        "%convex use trial",
        "import convexlab, httpx\nhere = convexlab.connect('trial').address\n"
        "def ask():\n    page = {'Origin': 'http://localhost:5173'}\n"
        "    body = {'path': 'a:b', 'args': {}}\n"
        "    return httpx.post(f'{here.url}/api/query', json=body, headers=page).text\n"
        "ask()",
        "%convex open http://localhost:5173",
        "ask()",
        "%convex stop",
        "%convex stop",
        "import os; sorted(os.listdir(here.folder))",
    )
    assert ran.text(2).startswith("Using trial at http://127.0.0.1:")
    assert "This deployment is private" in ran.text(3)
    assert ran.text(4) == "trial lets in: http://localhost:5173"
    assert "Could not find" in ran.text(5)
    assert ran.text(6).startswith("trial has stopped; its data stays in ")
    assert "is not running" in ran.error(7)[1]
    assert "store.sqlite3" in ran.text(8)
    assert "address.json" not in ran.text(8)


def test_a_live_result_shows_itself_in_every_form(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        "import convexlab\ndb = convexlab.connect()\ndb.tasks.create(text='<hi>')\nlive = db.watch('tasks:list')",
        "live",
        "db.tasks.create(text='two')\nlen(live.wait_for(lambda v: len(v) == 2))",
        "%convex watch tasks:list {'limit': 1}",
    )
    watched = ran.data(6)["application/vnd.convexlab.live.v1+json"]
    assert (watched["path"], watched["args"]) == ("tasks:list", {"limit": 1})
    data = ran.data(4)
    own = data["application/vnd.convexlab.live.v1+json"]
    assert own["path"] == "tasks:list"
    assert own["view"] == {"kind": "table"}
    assert own["deployment"] == "local"
    assert "&lt;hi&gt;" in data["text/html"]
    assert "1 document · as of 20" in data["text/html"]
    assert "<hi>" in data["text/plain"]
    assert ran.text(5) == "2"


def test_the_extension_unloads_and_loads_again(run):
    ran = run("%unload_ext convexlab", "%convex", "%load_ext convexlab", "%convex")
    assert "Line magic function `%convex` not found" in ran.said(3)
    assert "deployment: local" in ran.text(5)
    said = f"version: {version('convexlab')}, {engine_in_words()}"
    assert said in ran.text(5)
    assert "/?c=" in ran.text(5)


def test_an_import_reads_a_file(run, project):
    (project / "people.csv").write_text("name,age\nann,3\nbob,4\n")
    ran = run(
        "%convex import people.csv --table people",
        "%convex import people.csv --table people",
        "%convex import people.csv --table people --append",
        "%convex import none.csv --table people",
        "import convexlab; convexlab.connect().table('people').df()[['name', 'age']].values.tolist()",
    )
    assert ran.text(2) == "people.csv → people: 2 documents"
    assert "`people` has 2 documents: --append adds to them" in ran.error(3)[1]
    assert ran.text(4) == "people.csv → people: 2 documents"
    assert ran.error(5)[0] == "NotFound"
    assert ran.text(6) == "[['ann', 3.0], ['bob', 4.0], ['ann', 3.0], ['bob', 4.0]]"


def test_everything_goes_into_a_zip_and_back(run, project):
    (project / "cities.jsonl").write_text('{"name": "Rome"}\n')
    rows = "[(c['_id'], c['name']) for c in convexlab.connect().table('cities')]"
    ran = run(
        "%convex import cities.jsonl --table cities",
        f"import convexlab; {rows}",
        "%convex export all.zip",
        "%convex import all.zip --replace --append",
        "%convex import all.zip --replace",
        rows,
    )
    assert ran.text(4).startswith("local → all.zip: ")
    assert "say one" in ran.error(5)[1]
    assert ran.text(6).startswith("all.zip → local: ")
    assert ran.text(7) == ran.text(3)


def test_a_terminal_does_the_same(project, db):
    """IPython with no page at all: results are texts."""
    typed = (
        "%load_ext convexlab",
        "# %%convex terminal",
        "from convexlab import query",
        "@query",
        "def number(ctx, n: float): return n",
        "",
        "",
        "x = 1",
        'y = %convex run terminal:number {"n": x + 50}',
        "import convexlab; db = convexlab.connect()",
        "print('gives', y)",
        "live = db.watch('terminal:number', n=7); live",
        "live.close()",
    )
    said = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--quick"],
        input="\n".join([*typed, ""]),
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "terminal → local: query number" in said
    assert "gives 51" in said
    assert "as of 20" in said
