"""`convexlab init`: a functions folder that runs, and never over one that is there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from convexlab.cli.init import EXAMPLE
from convexlab.cli.main import main

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "getting-started.md"


def init(*arguments, status=0):
    result = CliRunner().invoke(main, ["init", *arguments])
    assert result.exit_code == status, result.output
    return result.output.strip()


def files(folder):
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and ".git" not in file.relative_to(folder).parts
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repository(here):
    subprocess.run(["git", "init", "--quiet"], cwd=here, check=True)
    return here


def test_what_is_made_is_pushed_and_runs(convexlab, project):
    said = convexlab("init")
    assert said.startswith("made: convex/schema.py, convex/tasks.py\nnext:\n")
    assert "pushed: schema, tasks" in convexlab("dev", "--once")
    calls = re.findall(r"convexlab (run) (\S+) '(.*)'", said)
    assert [call[1] for call in calls] == ["tasks:create", "tasks:mine"]
    answers = [json.loads(convexlab(*call)) for call in calls]
    assert [task["text"] for task in answers[1]] == ["write a query"]
    convexlab("run", "tasks:finish", json.dumps({"taskId": answers[0]}))


def test_it_is_the_first_guides_example_as_ruff_has_it(here):
    """What one reads in the guide and what one is given cannot drift apart."""
    init()
    shown = re.findall(
        r"```python\n%%convex (\w+)\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL
    )
    assert sorted(f"{name}.py" for name, _ in shown) == sorted(EXAMPLE)
    for name, block in shown:
        made = ast.parse((here / "convex" / f"{name}.py").read_text("utf-8"))
        assert ast.get_docstring(made)
        made.body = made.body[1:]
        assert ast.dump(made) == ast.dump(ast.parse(block))
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["format", "--diff"], ["check"]):
        command = [*ruff, *words, "--isolated", "--no-cache", "convex"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_functions_that_are_there_stay(here):
    (here / "convex" / "admin").mkdir(parents=True)
    (here / "convex" / "admin" / "users.py").write_bytes(b"\xff")
    said = init(status=1)
    assert said.startswith("convex/ has modules already (admin/users.py): nothing was")
    assert files(here) == ["convex/admin/users.py"]


def test_what_is_no_module_does_not_keep_it_from_being_made(here):
    (here / "convex" / "_generated").mkdir(parents=True)
    (here / "convex" / "_generated" / "api.js").write_text("")
    init()
    assert files(here) == [
        "convex/_generated/api.js",
        "convex/schema.py",
        "convex/tasks.py",
    ]


@pytest.mark.parametrize("taken", ["convex", ".gitignore/x"])
def test_nothing_is_half_made(repository, taken):
    """Where a folder or a file stands in the way, what had been made is taken back."""
    in_the_way = repository / taken
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("")
    before = files(repository)
    assert "Nothing was written." in init(status=1)
    assert files(repository) == before


def test_another_folder_is_made_and_named_in_what_comes_next(here):
    said = init("work/app")
    assert "made: work/app/convex/schema.py" in said
    assert "  cd work/app\n" in said
    assert files(here) == ["work/app/convex/schema.py", "work/app/convex/tasks.py"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ".convexlab/\n"),
        ("dist/", "dist/\n.convexlab/\n"),
        ("dist/\n", "dist/\n.convexlab/\n"),
        ("/.convexlab\n", "/.convexlab\n"),
        ("**/.convexlab/", "**/.convexlab/"),
    ],
)
def test_git_is_told_once_to_leave_the_deployment_alone(repository, before, after):
    """At the repository's root: there the deployment of a folder below it is."""
    ignore = repository / ".gitignore"
    if before is not None:
        ignore.write_text(before)
    said = init("app")
    assert ignore.read_text() == after
    assert (", .gitignore\n" in said) is (before != after)
    init("other")
    assert ignore.read_text() == after


def test_without_a_repository_nothing_is_ignored(here):
    assert ".gitignore" not in init()
    assert not (here / ".gitignore").exists()
