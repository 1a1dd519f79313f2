"""The docs are true: links lead somewhere, examples parse, notebooks are clean."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
PROMISES = sorted(ROOT.glob("docs/architecture/*-promises.md"))
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
MAGIC = re.compile(r"^\s*(%|!).*$", re.MULTILINE)
# `tests/a/test_b.py` (`test_c`, `test_d`)
TESTS = re.compile(r"`(tests/[\w/]+\.py)` \(([^)]*)\)")
PATH = re.compile(r"`((?:server|kernel_ext|widgets|notebooks|docs|tests)/[\w./-]*)`")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def expect_python(text: str) -> None:
    """Raises SyntaxError; a cell may await."""
    compile(text, "<text>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_tests_that_are_named_exist(page: Path) -> None:
    missing = [
        (file, test)
        for file, listed in TESTS.findall(page.read_text(encoding="utf-8"))
        for test in re.findall(r"`(test_\w+)`", listed)
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize("page", PROMISES, ids=named)
def test_each_promise_names_what_holds_it(page: Path) -> None:
    promised = list(promises(page))
    assert len(promised) > 30
    assert [row for row in promised if "`tests/" not in row.split(" | ")[1]] == []


def promises(page: Path) -> Iterator[str]:
    """The rows of the tables of promises."""
    is_one = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line == "| promise | held by |":
            is_one = True
        elif not line.startswith("|"):
            is_one = False
        elif is_one and not line.startswith("| ---"):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_blocks_parse(page: Path) -> None:
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        expect_python(MAGIC.sub("", block))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_notebooks_are_kept_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    kept = [c["source"] for c in cells if c.get("outputs") or c.get("execution_count")]
    assert kept == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_notebook_cells_have_one_heading_and_parse(notebook: Path) -> None:
    """Each starts with its title; each code cell is Python but for its magic lines."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    first = "".join(cells[0]["source"])
    assert first.startswith("# "), first
    for cell in cells:
        if cell["cell_type"] == "code":
            expect_python(MAGIC.sub("", "".join(cell["source"])))
