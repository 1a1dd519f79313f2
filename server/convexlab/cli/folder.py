"""A functions folder as modules: what is in `convex/`, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def modules_of(folder: Path) -> list[dict[str, Any]]:
    """The modules of a folder, as a push takes them."""
    if not folder.is_dir():
        message = (
            f"There is no folder {folder}. Functions live in convex/: `convexlab init` "
            "makes it, or name another folder."
        )
        raise NotFound(message)
    return [
        {
            "path": file.relative_to(folder).with_suffix("").as_posix(),
            "source": file.read_text(encoding="utf-8"),
            "origin": {"kind": "file", "name": str(file.resolve())},
        }
        for file in module_files(folder)
    ]


def module_files(folder: Path) -> Iterator[Path]:
    """The files of a folder that are modules, in order; none where there is no folder."""
    for file in sorted(folder.rglob("*.py")):
        if is_module(file.relative_to(folder)):
            yield file


def is_module(file: Path) -> bool:
    """Whether a file of the folder is pushed: not packages' marks, tests, generated files."""
    if any(
        part.startswith(".") or part in {"_generated", "__pycache__"}
        for part in file.parts
    ):
        return False
    name = file.name
    return (
        file.suffix == ".py"
        and name not in {"__init__.py", "conftest.py"}
        and not name.startswith("test_")
        and not name.endswith("_test.py")
    )
