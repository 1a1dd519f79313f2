"""What modules are before they run."""

from __future__ import annotations

from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource, module_path


def test_files_that_are_not_pushed_have_no_path() -> None:
    pushed = ["tasks.py", "admin/users.py", "_shared.py", "test.py", "tests/a.py"]
    assert [module_path(file) for file in pushed] == [file[:-3] for file in pushed]
    left = [
        "__init__.py", "conftest.py", "test_a.py", "a_test.py", "_generated/api.py", ".hidden.py", ".git/a.py",
        "a/__init__.py", "readme.md", "a.b.py", "__pycache__/a.py", "a b.py",
    ]  # fmt: skip
    assert [module_path(file) for file in left] == [None] * len(left)


def test_a_version_is_the_hash_of_all_that_is_imported() -> None:
    def versions(**changed: str) -> dict[str, str]:
        texts = {
            "a": "from .b import x",
            "b": "from . import c\nx = 1",
            "c": "",
            "d": "",
            **changed,
        }
        return analyze(
            [ModuleSource(path, text) for path, text in texts.items()]
        ).versions

    before = versions()
    assert versions() == before
    after = versions(c="y = 1")
    assert {path for path in before if before[path] != after[path]} == {"a", "b", "c"}
