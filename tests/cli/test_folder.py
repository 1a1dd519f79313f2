"""A functions folder as modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from convexlab.cli.folder import is_module, modules_of
from convexlab.errors import NotFound


def test_a_folders_files_are_modules(tmp_path):
    (tmp_path / "admin").mkdir()
    (tmp_path / "tasks.py").write_text("x = 1\n")
    (tmp_path / "admin" / "users.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    found = modules_of(tmp_path)
    assert [module["path"] for module in found] == ["admin/users", "tasks"]
    assert found[1]["source"] == "x = 1\n"
    assert found[1]["origin"] == {"kind": "file", "name": str(tmp_path / "tasks.py")}


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "conftest.py",
        "test_x.py",
        "x_test.py",
        "_generated/api.py",
        ".hidden.py",
        ".git/x.py",
        "__pycache__/x.py",
        "x.pyc",
    ],
)
def test_what_is_not_pushed(name):
    assert not is_module(Path(name))


def test_a_leading_underscore_is_a_module(tmp_path):
    assert is_module(Path("_shared.py"))
    with pytest.raises(NotFound, match=r"There is no folder .*convex"):
        modules_of(tmp_path / "convex")
