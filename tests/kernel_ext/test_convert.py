"""A notebook's modules in a folder."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.kernel_ext.notebooks import notebook
from tests.kernel_ext.test_export import CREATE, LIST, SHARED

from convexlab.errors import NotAllowed, PushFailed
from convexlab_kernel.convert import convert, origin_of
from convexlab_kernel.export import export_notebook
from convexlab_kernel.notebook_file import NotebookFile


@pytest.fixture
def write(tmp_path):
    def writing(*sources, name="n.ipynb", **options):
        export = export_notebook(NotebookFile.read(notebook(tmp_path / name, *sources)))
        return convert(export, tmp_path / "convex", **options)

    return writing


def test_only_what_changed_is_written_again(write, tmp_path):
    written = write(SHARED, LIST)
    assert str(written) == f"{tmp_path / 'convex'}/ ← new: shared, tasks"
    before = (tmp_path / "convex" / "shared.py").stat().st_mtime_ns
    written = write(SHARED, LIST, CREATE)
    assert (written.changed, written.same) == (["tasks"], ["shared"])
    assert (tmp_path / "convex" / "shared.py").stat().st_mtime_ns == before
    written = write("%%convex admin/users\npass", SHARED)
    assert (written.new, written.removed) == (["admin/users"], ["tasks"])
    assert not (tmp_path / "convex" / "tasks.py").exists()


def test_a_file_of_another_hand_is_left_alone(write, tmp_path):  # W1, W2
    folder = tmp_path / "convex"
    folder.mkdir()
    (folder / "tasks.py").write_text("mine = 1\n")
    with pytest.raises(NotAllowed, match=r"tasks\.py was not made from a notebook"):
        write(SHARED, LIST)
    assert not (folder / "shared.py").exists()
    write(SHARED)
    with (folder / "shared.py").open("a") as file:
        file.write("# more\n")
    with pytest.raises(NotAllowed, match=r"shared\.py was edited after it was made"):
        write(SHARED)
    with pytest.raises(NotAllowed, match="was edited"):  # also what is gone
        write("%%convex other\npass")
    with pytest.raises(NotAllowed, match=r"was made from n\.ipynb"):
        write(SHARED, name="m.ipynb")
    assert write(SHARED, LIST, force=True).changed == ["shared", "tasks"]


def test_the_file_is_formatted_and_names_its_notebook(write, tmp_path):
    write("md:# Shared", "%%convex shared\nx = {'a':1}\ndef f( a ): return a")
    text = (tmp_path / "convex" / "shared.py").read_text()
    assert origin_of(text) == "n.ipynb"
    assert text.endswith('"""Shared."""\n\nx = {"a": 1}\n\n\ndef f(a):\n    return a\n')
    ruff = [sys.executable, "-m", "ruff", "format", "--check", tmp_path / "convex"]
    subprocess.run(ruff, check=True)
    write("%%convex shared\nx = {'a':1}", formatted=False)
    assert (tmp_path / "convex" / "shared.py").read_text().endswith("\nx = {'a':1}\n")


def test_a_relative_import_leads_to_a_module_of_the_notebook_or_the_folder(
    write, tmp_path
):
    with pytest.raises(PushFailed, match=r"cell 2 .*: there is no module `shared`"):
        write(LIST, CREATE)
    (tmp_path / "convex").mkdir()
    (tmp_path / "convex" / "shared.py").write_text("def slug(text): ...\n")
    assert write(LIST, CREATE).new == ["tasks"]
    with pytest.raises(PushFailed, match="no module `admin/shared`"):
        write("%%convex admin/users\nfrom . import shared\n")
    write("%%convex admin/users\nfrom .. import shared\n", force=True)
