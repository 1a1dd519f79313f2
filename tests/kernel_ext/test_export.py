"""A notebook's modules: their text, and what is refused."""

from __future__ import annotations

import pytest
from tests.kernel_ext.notebooks import notebook

from convexlab.errors import PushFailed
from convexlab_kernel import cells
from convexlab_kernel.export import export_notebook
from convexlab_kernel.notebook_file import NotebookFile

LIST = """%%convex tasks
from convexlab import query

@query
def list_(ctx):
    return ctx.db.query("tasks").collect()
"""
CREATE = """# %%convex tasks --add
import json
from convexlab import mutation
from .shared import slug

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": slug(text), "json": json.dumps(text)})
"""
SHARED = """%%convex shared
def slug(text):
    return text.lower()
"""


@pytest.fixture
def export(tmp_path):
    def exporting(*sources, **options):
        file = notebook(tmp_path / "n.ipynb", *sources, **options)
        return export_notebook(NotebookFile.read(file))

    return exporting


def refused(export, *sources):
    with pytest.raises(PushFailed) as caught:
        export(*sources)
    heading, *lines = str(caught.value).split("\n")
    assert heading == "n.ipynb cannot be exported:"
    return lines


def test_the_text_above_a_cell_is_the_modules_docstring(export):
    (module,) = export("x = 1", "md:## Tasks\n\nWhat is to do.", LIST).modules
    assert module.text == (
        '"""Tasks.\n\nWhat is to do.\n"""\n\n' + LIST.partition("\n")[2]
    )


def test_a_cells_own_docstring_wins(export):
    source = '%%convex tasks\n"""Mine."""\n\nx = 1'
    (module,) = export("md:Theirs.", source).modules
    assert module.text == '"""Mine."""\n\nx = 1\n'
    (module,) = export("md:Theirs.", source, "%%convex tasks --add\nimport os").modules
    assert module.text == '"""Mine."""\n\nimport os\n\n\nx = 1\n'


def test_cells_of_one_module_are_one_file_with_its_imports_once(export):
    made = export(SHARED, "md:# Tasks", LIST, "md:## New ones\n\nBy slug.", CREATE)
    module = made.module("tasks")
    assert module is not None
    assert module.text == (
        '"""Tasks."""\n\n'
        "import json\n\n"
        "from convexlab import mutation, query\n\n"
        "from .shared import slug\n\n\n"
        "@query\ndef list_(ctx):\n"
        '    return ctx.db.query("tasks").collect()\n\n\n'
        "# New ones.\n#\n# By slug.\n\n"
        "@mutation\ndef create(ctx, text: str):\n"
        '    return ctx.db.insert("tasks", {"text": slug(text), "json": json.dumps(text)})\n'
    )
    assert [one.path for one in made.modules] == ["shared", "tasks"]


def test_the_parts_are_what_running_the_cells_pushes(export):  # X2
    module = export(SHARED, "\n" + LIST, CREATE).module("tasks")
    assert module is not None
    first = cells.part_source("tasks", LIST.partition("\n")[2], above=1)
    second = cells.part_source("tasks --add", CREATE.partition("\n")[2], above=0)
    assert [part.source for part in module.parts] == [first, second]
    assert [part.key for part in module.parts] == ["c2", "c3"]


def test_what_stays_behind_is_said(export):
    made = export(
        LIST,
        LIST,
        "%%convex tasks --dry-run\npass",
        "%%convex tasks --deployment demo\npass",
        "from convexlab import query\n@query\ndef lonely(ctx): ...",
        "@other\ndef nothing(): ...",
        "!ls",
        tags=[2],
    )
    assert [one.path for one in made.modules] == ["tasks"]
    assert made.left_out == [
        "cell 2 (`%%convex tasks`): marked to stay here",
        "cell 3 (`%%convex tasks --dry-run`): --dry-run",
        "cell 4 (`%%convex tasks --deployment demo`): for the deployment `demo`",
        "cell 5 (`from convexlab import query`): `lonely` without a %%convex line",
    ]


def test_all_that_cannot_be_exported_is_said_at_once_by_cell_and_line(export):  # X1
    lines = refused(
        export,
        "limit = 3",
        "%%convex a\n\ndef f(ctx):\n    return limit\n",
        "%%convex b\ndef f(:\n",
        "%%convex c --ad\npass",
        "%%convex d\nfrom .a import nothing\n",
        "%%convex d\nx = 1",
    )
    assert lines == [
        "cell 4 (`%%convex c --ad`): %%convex does not know --ad. Is --add meant? It "
        "takes MODULE --add --dry-run --deployment NAME.",
        "cell 2 (`%%convex a`), line 4: `limit` is not defined. cell 1 (`limit = 3`) has "
        "it in the kernel, which a module does not see: pass it as an argument, or "
        "define it in this cell.",
        "cell 3 (`%%convex b`), line 2: invalid syntax",
        "cell 6 (`%%convex d`): it replaces what cell 5 (`%%convex d`) defines. Write "
        "--add for a part of the same module, or leave one out with the tag "
        "`convexlab-skip`.",
        "cell 5 (`%%convex d`): there is no `nothing` in `a`.",
    ]


def test_one_name_is_one_thing_in_a_module_of_several_cells(export):
    lines = refused(
        export,
        LIST,
        "%%convex tasks --add\nfrom other import query\ndef list_(ctx): ...",
    )
    assert len(lines) == 2
    assert "it defines `list_`, and so does cell 1" in lines[0]
    assert "`query` is another one than that which cell 1" in lines[1]
