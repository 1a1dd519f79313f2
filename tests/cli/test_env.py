"""`convexlab env`: variables by hand, from stdin, from files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest


@pytest.fixture(autouse=True)
def no_variables(convexlab):
    yield
    names = convexlab("env", "list", "--names-only").splitlines()
    if "No environment variables are set." not in names:
        convexlab("env", "remove", *names)


def test_a_variable_is_set_shown_and_removed(convexlab):
    assert convexlab("env", "set", "KEY", "a value") == "KEY is set."
    assert convexlab("env", "set", "OTHER=x=y") == "OTHER is set."
    assert convexlab("env", "get", "KEY") == "a value"
    assert convexlab("env", "list") == "KEY='a value'\nOTHER=x=y"
    assert convexlab("env", "list", "--names-only") == "KEY\nOTHER"
    assert convexlab("env", "remove", "KEY") == "KEY is no longer set."
    assert convexlab("env", "unset", "OTHER") == "OTHER is no longer set."
    assert convexlab("env", "list") == "No environment variables are set."
    said = convexlab("env", "get", "KEY", status=1)
    assert "`KEY` is not set. Set are: none." in said
    assert "`KEY` is not set" in convexlab("env", "remove", "KEY", status=1)


def test_a_value_comes_from_stdin(convexlab):
    said = convexlab("env", "set", "KEY", typed="line one\nline two\n")
    assert said == "KEY is set."
    assert convexlab("env", "get", "KEY") == "line one\nline two"


def test_a_value_that_is_typed_is_not_shown(convexlab, project):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "convexlab", "env", "set", "KEY"]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"Value of KEY" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, b"typed\n")
    while b"KEY is set." not in shown:
        shown += os.read(ours, 1000)
    assert process.wait(60) == 0
    os.close(ours)
    assert b"typed" not in shown
    assert convexlab("env", "get", "KEY") == "typed"


def test_a_file_is_a_value_or_many(convexlab, project):
    file = project / "some.env"
    file.write_text("A=1\nB='two words'\nCONVEX_URL=http://x\n")
    assert "left out" in convexlab("env", "set", "--from-file", "some.env")
    assert convexlab("env", "list") == "A=1\nB='two words'"
    said = convexlab("env", "set", typed="A=2\nC=3", status=1)
    assert "A: set already, to something else. --force" in said
    said = convexlab("env", "set", "--force", typed="A=2\nC=3")
    assert said == "stdin: 1 new, 1 changed"
    assert (
        convexlab("env", "set", "WHOLE", "--from-file", "some.env") == "WHOLE is set."
    )
    assert convexlab("env", "get", "WHOLE") == file.read_text().strip()


def test_what_cannot_be_set_is_said(convexlab):
    assert "is built-in" in convexlab("env", "set", "CONVEX_SITE_URL", "x", status=1)
    assert "no digit first" in convexlab("env", "set", "9X", "x", status=1)
    said = convexlab("env", "set", "A=1", "2", status=1)
    assert "Write A=VALUE or A VALUE" in said
