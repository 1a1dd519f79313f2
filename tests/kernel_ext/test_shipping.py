"""`%convex convert`, `deploy`, `login` and `use` in a real shell, on real deployments."""

from __future__ import annotations

import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from tests.kernel_ext.notebooks import notebook

from convexlab.errors import NotFound
from convexlab_kernel import discovery, keys, line
from convexlab_kernel.client import Database
from convexlab_kernel.notebook_file import NotebookFile
from convexlab_kernel.pushing import push

TASKS = """from convexlab import query

@query
def one(ctx):
    return 1
"""
CELLS = ("md:# Tasks", f"%%convex tasks\n{TASKS}")


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """Another deployment, as from another machine: its address and its key."""
    place = tmp_path_factory.mktemp("remote") / ".convexlab" / "local"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(place / "config"))
        address = discovery.attach(place)
    yield address
    discovery.stop(address)


@pytest.fixture
def shell(project, db, remote, tmp_path, monkeypatch):
    """A shell in the project, the extension loaded; nobody has logged in."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("CONVEXLAB_URL", "CONVEXLAB_ADMIN_KEY", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "convexlab")
    with Database(remote) as there:
        push(there, [], mode="replace_all")
        yield shell
    shell.run_line_magic("unload_ext", "convexlab")
    (project / ".convexlab" / "deployments.toml").unlink(missing_ok=True)


def said(shell, text):
    """What a line of `%convex` shows, or the message of its error."""
    result = shell.run_cell(f"%convex {text}", store_history=False)
    error = result.error_in_exec
    return repr(result.result) if error is None else f"{type(error).__name__}: {error}"


def type_key(monkeypatch, key):
    monkeypatch.setattr(line.getpass, "getpass", lambda _prompt: key)


def test_the_notebooks_file_is_converted_where_its_kernel_knows_it(
    shell, project, monkeypatch
):
    file = notebook(project / "work.ipynb", *CELLS)
    shell.run_cell(CELLS[1])
    # Nobody tells this kernel its file: it converts what it ran.
    assert said(shell, "convert ran") == "ran/ ← new: tasks"
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    assert said(shell, "convert made") == "made/ ← new: tasks"
    assert '"""Tasks."""' in (project / "made" / "tasks.py").read_text()
    shell.run_cell(CELLS[1] + "\nx = 1")
    assert said(shell, "convert made") == (
        "Warning: `tasks` ran otherwise than it is saved in work.ipynb: save the "
        "notebook, or run the cell again.\nmade/ ← unchanged: tasks"
    )
    shell.run_cell("%%convex unsaved\ny = 1")
    assert said(shell, "convert made").splitlines()[1:] == [
        "Warning: `unsaved` ran here, and is none of work.ipynb as it is saved.",
        "made/ ← unchanged: tasks",
    ]
    assert said(shell, "convert made --notebook none.ipynb").startswith("NotFound: ")


def test_a_module_remembers_its_notebook_and_cell(shell, project, db, monkeypatch):
    """The file too, where the kernel knows it: the sidebar opens it at the cell."""
    file = notebook(project / "work.ipynb", *CELLS)
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    shell.run_cell(CELLS[1], cell_id="the-cell")
    (module,) = [each for each in db.status().modules if each.path == "tasks"]
    assert str(module.origin).startswith("work.ipynb")
    told = db.attachment.get("/api/convexlab/module?path=tasks", dict)
    assert told["origin"]["path"] == str(file)
    assert told["origin"]["parts"] == ["the-cell"]


ADDED = """%%convex tasks --add
from convexlab import query

@query
def two(ctx):
    return base() + 1
"""
FIRST = """%%convex tasks
from convexlab import query

def base():
    return 1

@query
def one(ctx):
    return base()
"""


def test_nothing_vanishes_while_a_notebook_is_run_from_its_top(
    shell, project, db, monkeypatch
):
    """What its other cells add stays, in another kernel too, until these cells are gone."""
    file = notebook(project / "work.ipynb", FIRST, ADDED)
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    assert "→ local (new: tasks)" in said(shell, "deploy --notebook work.ipynb")
    first, added = (cell.key for cell in NotebookFile.read(file).cells)
    for value in (1, 10):
        changed = FIRST.replace("return 1", f"return {value}")
        assert shell.run_cell(changed, cell_id=first).success
        assert db.query("tasks:one") == value
        assert db.query("tasks:two") == value + 1
    # What does not work with the first cell any more waits for its own.
    part = ADDED.replace("from convexlab import query\n", "")
    assert shell.run_cell(FIRST, cell_id=first).success
    assert shell.run_cell(part, cell_id=added).success
    renamed = FIRST.replace("import query", "import query as q").replace("@query", "@q")
    assert shell.run_cell(renamed, cell_id=first).success
    with pytest.raises(NotFound):
        db.query("tasks:two")
    assert shell.run_cell(ADDED, cell_id=added).success
    assert db.query("tasks:two") == 2
    # Saved without it, the notebook says that it is gone.
    notebook(file, FIRST)
    assert shell.run_cell(FIRST, cell_id=first).success
    with pytest.raises(NotFound):
        db.query("tasks:two")


def test_papermill_says_which_notebook_it_runs_and_with_what(project, db):
    twice = "\n@query\ndef twice(ctx, n: int):\n    return 2 * n\n"
    cells = (
        CELLS[0],
        f"{CELLS[1]}{twice}",
        "%convex convert from_papermill",
        'found = %convex run tasks:twice {"n": n}',
        "assert found == 10",
    )
    notebook(project / "work.ipynb", "%load_ext convexlab", *cells)
    run = [sys.executable, "-m", "papermill", "work.ipynb", "ran.ipynb"]
    options = ["--inject-input-path", "--kernel", "python3", "--language", "python"]
    options += ["-p", "n", "5"]
    subprocess.run([*run, *options], cwd=project, check=True, capture_output=True)
    made = (project / "from_papermill" / "tasks.py").read_text()
    assert made.startswith("# From work.ipynb by `convexlab convert` (")
    assert '"""Tasks."""' in made


def test_a_kernel_that_ran_nothing_asks_for_the_file(shell, project):
    assert "--notebook FILE" in said(shell, "convert made")
    notebook(project / "work.ipynb", *CELLS)
    assert "→ local (new: tasks)" in said(shell, "deploy --notebook work.ipynb")


def test_a_deployment_is_named_used_and_deployed_to(
    shell, project, remote, monkeypatch
):
    notebook(project / "work.ipynb", *CELLS)
    url = remote.client_url
    type_key(monkeypatch, "wrong|key")
    assert said(shell, f"login demo {url}").startswith("NotAllowed")
    type_key(monkeypatch, remote.admin_key)
    assert f"Logged in at {remote.url}" in said(shell, f"login demo {url}")
    assert (
        remote.admin_key
        not in (project / ".convexlab" / "deployments.toml").read_text()
    )
    assert f"  demo: {remote.url}" in said(shell, "use").splitlines()
    deployed = said(shell, "deploy demo --notebook work.ipynb --dry-run")
    assert "work.ipynb: tasks checked against demo (new: tasks): " in deployed
    assert "not there" in said(shell, "deploy demo --notebook work.ipynb --check")
    deployed = said(shell, "deploy demo --notebook work.ipynb")
    assert "work.ipynb: tasks → demo (new: tasks): " in deployed
    proved = said(shell, "deploy demo --notebook work.ipynb --check")
    assert proved == f"demo runs this code: {deployed.rpartition(' ')[2]}"
    assert said(shell, "use demo") == f"Using demo at {remote.url}"
    assert f"* demo: {remote.url}" in said(shell, "use").splitlines()
    assert said(shell, "run tasks:one") == "1"
    assert "work.ipynb, cell 2 · 20" in said(shell, "")
    shell.run_cell(
        "import convexlab\nwith convexlab.connect('demo') as there: n = there.query('tasks:one')"
    )
    assert shell.user_ns["n"] == 1
    assert "is not a local deployment" in said(shell, "stop")
    assert f"`demo` is {remote.url} already" in said(
        shell, "login demo https://x.example"
    )


def test_a_key_is_asked_for_where_none_is_known(shell, project, remote, monkeypatch):
    notebook(project / "work.ipynb", *CELLS)
    type_key(monkeypatch, "")
    target = f"deploy {remote.client_url} --notebook work.ipynb"
    assert "Nothing was typed" in said(shell, target)
    type_key(monkeypatch, remote.admin_key)
    assert "(new: tasks)" in said(shell, target)
    assert "(new: nothing)" in said(shell, target)
    assert not keys.keys_file().exists()
