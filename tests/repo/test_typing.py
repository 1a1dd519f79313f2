"""Type checkers understand what users write: mypy and pyright, both strict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.kernel_ext.notebooks import notebook

ROOT = Path(__file__).parents[2]
TYPICAL = ROOT / "tests" / "typing" / "typical.py"

WRONG = """
from convexlab import MutationCtx, QueryCtx, mutation, query

@query
def total(ctx: QueryCtx) -> int: return 1
@mutation
def send(ctx: MutationCtx, body: str) -> str: return body

@mutation
def wrong(ctx: MutationCtx, reader: QueryCtx) -> None:
    ctx.run_mutation(send, body=5)
    ctx.run_mutation(send, body="hi").bit_length()
    ctx.run_query(total).upper()
    ctx.db.insert("messages")
    ctx.db.query("messages").order("down")
    ctx.db.get("messages")["body"]
    ctx.scheduler.nothing()
"""
FIRST_WRONG_LINE = 11
# A module's cell in its plain form, as an editor and its linters see it.
CELL = """# %%convex tasks --add
from convexlab import Doc, Id, MutationCtx, QueryCtx, mutation, query


@mutation
def create(ctx: MutationCtx, text: str, owner: Id.users) -> Id.tasks:
    return ctx.db.insert("tasks", {"text": text, "owner": owner})


@query
def mine(ctx: QueryCtx, owner: Id.users, limit: int = 10) -> list[Doc]:
    return ctx.db.query("tasks").with_index("by_owner", owner=owner).take(limit)
"""


def pyright(folder: Path, *files: Path) -> list[tuple[int, str]]:
    """The lines that pyright finds at fault, and why."""
    config = {"typeCheckingMode": "strict", "include": [*map(str, files)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    found = subprocess.run(
        [sys.executable, "-m", "basedpyright", "-p", str(folder), "--outputjson",
         "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )  # fmt: skip
    return [
        (told["range"]["start"]["line"] + 1, told["message"])
        for told in json.loads(found.stdout)["generalDiagnostics"]
        if told["severity"] == "error"
    ]


def test_mypy_understands_what_users_write(tmp_path: Path) -> None:
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n")  # what users have: none of this project's own
    cache = ROOT / ".mypy_cache" / "typing"
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", str(config),
         "--cache-dir", str(cache), str(TYPICAL)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout


def test_pyright_understands_what_users_write(tmp_path: Path) -> None:
    """Beside mypy it is what editors use (Pylance); a cell is a file to it."""
    cell = tmp_path / "cell.py"
    cell.write_text(CELL)
    assert pyright(tmp_path, TYPICAL, cell) == []


def test_linters_understand_a_cell_in_its_plain_form(tmp_path: Path) -> None:
    """As Python, with no plugin: they read it, and they find what is wrong in it."""
    good, bad = (tmp_path / name for name in ("good.ipynb", "bad.ipynb"))
    notebook(good, CELL.strip(), "print(1)")
    notebook(bad, CELL.strip() + "\n\nx = nobody\n")
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--isolated"], ["format", "--isolated", "--check"]):
        read = subprocess.run([*ruff, *command, str(good)], check=False)
        assert read.returncode == 0, command
    found = subprocess.run(
        [*ruff, "check", "--isolated", str(bad)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Undefined name `nobody`" in found.stdout


def test_what_cannot_work_is_found_before_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    count = WRONG.count("\n") - FIRST_WRONG_LINE + 1
    at_fault = {line for line, _ in pyright(tmp_path, file)}
    assert at_fault == set(range(FIRST_WRONG_LINE, FIRST_WRONG_LINE + count))
