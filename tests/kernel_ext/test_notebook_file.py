"""A notebook's file as cells."""

from __future__ import annotations

import pytest
from tests.kernel_ext.notebooks import notebook

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel.notebook_file import NotebookFile


def test_cells_are_numbered_among_all_and_know_their_headers(tmp_path):
    file = notebook(
        tmp_path / "n.ipynb",
        "md:# Title",
        "x = 1",
        "md:one",
        "md:two",
        "\n# %%convex tasks --add\npass",
    )
    read = NotebookFile.read(file)
    last = read.cells[4]
    assert (last.number, last.key) == (5, "c5")
    assert last.header is not None
    assert (last.header.module, last.header.add) == ("tasks", True)
    assert [cell.text for cell in read.above(last)] == ["one", "two"]
    assert read.above(read.cells[2]) == []
    assert str(last) == "cell 5 (`# %%convex tasks --add`)"
    assert read.cells[1].header is None


def test_a_tag_or_a_line_keeps_a_cell_here(tmp_path):
    cells = ["%%convex a\npass", "%%convex a\n  # convexlab: skip\npass", "x = 1"]
    read = NotebookFile.read(notebook(tmp_path / "n.ipynb", *cells, tags=[1]))
    assert [cell.skip for cell in read.cells] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not a notebook"),
        ('{"cells": 3}', "is not a notebook"),
        ('{"cells": [], "nbformat": 3}', "format 3"),
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path, text, says):
    (tmp_path / "n.ipynb").write_text(text)
    with pytest.raises(InvalidArguments, match=says):
        NotebookFile.read(tmp_path / "n.ipynb")
    with pytest.raises(NotFound, match=r"There is no notebook .*none\.ipynb"):
        NotebookFile.read(tmp_path / "none.ipynb")
