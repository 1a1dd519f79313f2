"""A real deployment, and notebooks that run against it."""

from __future__ import annotations

import contextlib
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from convexlab.errors import ConvexlabError
from convexlab_kernel import discovery
from convexlab_kernel.client import Database
from convexlab_kernel.pushing import push
from convexlab_kernel.views import MIME

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project folder with a running deployment, ended with the tests."""
    folder = tmp_path_factory.mktemp("project")
    place = folder / ".convexlab" / "local"
    with pytest.MonkeyPatch.context() as patch:  # its secret is not the developer's
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        discovery.attach(place)
        yield folder
    address = discovery.running(place)
    if address is not None:
        discovery.stop(address)


@pytest.fixture
def db(project):
    """The deployment in Python's hands, empty of what tests before it left."""
    with Database(discovery.attach(project / ".convexlab" / "local")) as database:
        empty(database)
        yield database


def empty(database):
    """Take the modules out and the documents."""
    push(database, [], mode="replace_all")
    for table in database.tables.values():
        with contextlib.suppress(ConvexlabError):
            table.clear()


def told(control):
    """What the page is told of a form, a button or a box."""
    data, _ = control._repr_mimebundle_()
    return data[MIME]["control"]


def deploy(database, **modules):
    """Push modules by name and source."""
    return push(
        database,
        [
            {
                "path": path,
                "source": source,
                "origin": {"kind": "file", "name": f"{path}.py"},
            }
            for path, source in modules.items()
        ],
    )


class Ran:
    """A notebook that has run: what each cell left."""

    def __init__(self, cells):
        self.cells = cells

    def text(self, number):
        """What cell In[number] printed and displayed, as text."""
        parts = []
        for output in self.cells[number - 1].outputs:
            if output.output_type == "stream":
                parts.append(output.text)
            elif output.output_type in {"execute_result", "display_data"}:
                parts.append(output.data.get("text/plain", ""))
        return "".join(parts).strip()

    def error(self, number):
        """The name and the printed traceback of cell In[number]'s error."""
        for output in self.cells[number - 1].outputs:
            if output.output_type == "error":
                return output.ename, ANSI.sub("", "\n".join(output.traceback))
        return None

    def said(self, number):
        """All that cell In[number] left, errors too."""
        error = self.error(number)
        return self.text(number) + ("" if error is None else error[1])

    def data(self, number):
        """The mime bundle that cell In[number] displayed."""
        for output in self.cells[number - 1].outputs:
            if output.output_type in {"execute_result", "display_data"}:
                return output.data
        return {}


@pytest.fixture
def run(project, db):
    """Run cells in a fresh kernel in the project, the extension loaded by the first."""

    def running(*sources, load=True):
        first = ["%load_ext convexlab"] if load else []
        cells = [nbformat.v4.new_code_cell(source) for source in [*first, *sources]]
        notebook = nbformat.v4.new_notebook(cells=cells)
        client = NotebookClient(
            notebook,
            allow_errors=True,
            kernel_name="python3",
            timeout=120,
            resources={"metadata": {"path": str(project)}},
        )
        with contextlib.suppress(CellExecutionError):
            client.execute()
        return Ran(notebook.cells)

    return running
