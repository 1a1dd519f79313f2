"""`convexlab run`, on a real deployment."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from convexlab.cli.main import main

SOURCE = """from convexlab import Int64, mutation, query, internal_query

@mutation
def add(ctx, n: int = 1) -> None:
    print("adding", n)
    ctx.db.insert("added", {"n": n})

@query
def total(ctx) -> float:
    return ctx.db.query("added").sum("n")

@query
def values(ctx):
    print("values")
    return {"int64": Int64(2**60), "bytes": b"hi", "nan": float("nan"), "text": "é", "n": [1.0, 1.5]}

@internal_query
def who(ctx):
    user = ctx.auth.get_user_identity()
    return user and user["tokenIdentifier"]

@query
def default(ctx):
    return "default"

@query
def odd(ctx):
    added = ctx.db.query("added").count()
    if added % 2 == 0:
        raise ValueError(f"{added} is even")
    return added
"""


@pytest.fixture(scope="module")
def pushed(project):
    functions = project / "convex"
    functions.mkdir(exist_ok=True)
    (functions / "running.py").write_text(SOURCE)
    yield
    (functions / "running.py").unlink()


@pytest.fixture
def run(pushed, project, monkeypatch):
    """Run a function in the project: status, stdout, stderr."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("CONVEXLAB_URL", raising=False)
    monkeypatch.delenv("CONVEXLAB_ADMIN_KEY", raising=False)

    def command(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, ("run", *arguments))
        return done.exit_code, done.stdout, done.stderr

    assert command("running", "--push")[0] == 0
    return command


def test_the_value_alone_is_on_stdout(run):
    status, out, err = run("running:values")
    assert status == 0
    assert json.loads(out) == {
        "int64": str(2**60),
        "bytes": "aGk=",
        "nan": "NaN",
        "text": "é",
        "n": [1, 1.5],
    }
    assert "é" in out
    assert "1.0" not in out
    assert err == "running:values [LOG] 'values'\n"


def test_null_says_nothing(run):
    assert run("running:add", "{n: 0}") == (0, "", "running:add [LOG] 'adding' 0\n")


@pytest.mark.parametrize(
    "name", ["running", "api.running.default", "convex/running.py:default"]
)
def test_a_function_is_named_as_one_likes(run, name):
    assert run(name) == (0, '"default"\n', "")


def test_a_function_that_is_not_there_lists_those_that_are(run):
    status, out, err = run("running:nothing")
    assert (status, out) == (1, "")
    assert err.startswith("Could not find function for 'running:nothing'.")
    assert "\n  running:total\n" in err


def test_a_failure_is_on_stderr(run):
    status, out, err = run("running:add", '{"n": "x"}')
    assert (status, out) == (1, "")
    assert "ArgumentValidationError" in err


def test_it_is_called_as_a_user(run):
    assert run("internal.running.who")[1] == ""
    ann = run("running:who", "--identity", '{"subject": "ann"}')
    assert json.loads(ann[1]) == "https://convex.test|ann"


def test_the_folder_is_pushed_first(run, project):
    later = project / "convex" / "later.py"
    later.write_text(SOURCE)
    assert run("later")[0] == 1
    status, out, err = run("later", "--push")
    assert (status, out) == (0, '"default"\n')
    assert "pushed: later" in err
    later.unlink()


def test_a_query_is_followed_through_failures(run, project):
    """One that fails goes on as soon as what it has read changes."""
    if run("running:odd")[0]:
        run("running:add")
    with following("running:odd", cwd=project) as process:
        first = json.loads(process.stdout.readline())
        run("running:add")
        assert f"{first + 1} is even".encode() in process.stderr.readline()
        run("running:add")
        assert json.loads(process.stdout.readline()) == first + 2
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@contextlib.contextmanager
def following(name, *, cwd):
    """`convexlab run NAME --watch`, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "convexlab", "run", name, "--watch"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_cannot_be_followed_says_so(run):
    status, out, err = run("running:who", "--identity", "{")
    assert (status, out) == (1, "")
    assert "--identity is one JSON object" in err
