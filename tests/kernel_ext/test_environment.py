"""The owner sets variables from a notebook, and no output shows their values."""

from __future__ import annotations

import getpass

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.errors import InvalidArguments, InvalidEnvVar, NotFound
from convexlab_kernel import commands
from convexlab_kernel.environment import Environment

MODULE = """
import os
from convexlab import action

@action
async def read(ctx, name: str):
    return os.environ.get(name)
"""


class Notebook:
    """As much of a notebook as a command needs."""

    def __init__(self, database):
        self._database = database

    def database(self, _=None):
        return self._database


@pytest.fixture
def db(db, monkeypatch):
    environment = Environment(db)
    names = environment.names()
    if names:
        environment.remove(names)
    return db


@pytest.fixture
def convex(db):
    return lambda line: repr(commands.run_line(Notebook(db), line, {}))


def test_a_value_that_is_not_said_is_asked_for(db, convex, monkeypatch):
    deploy(db, m=MODULE)
    asked = []
    monkeypatch.setattr(getpass, "getpass", lambda text: asked.append(text) or "s3cret")
    assert convex("env set KEY") == "KEY is set."
    assert asked == ["Value of KEY: "]
    assert db.action("m:read", name="KEY") == "s3cret"
    assert convex("env") == convex("env list") == "KEY"
    assert convex("env get KEY") == "s3cret"
    assert convex("env unset KEY") == "No longer set: KEY."
    assert db.action("m:read", name="KEY") is None
    assert convex("env list") == "No environment variables are set."


def test_a_value_may_be_said(db, convex):
    assert convex("env set A 'two words'") == "A is set."
    assert convex("env set B=x=y") == "B is set."
    assert Environment(db).values() == {"A": "two words", "B": "x=y"}
    assert convex("env remove A B") == "No longer set: A, B."


def test_a_file_sets_all_that_it_holds(db, convex, tmp_path):
    file = tmp_path / "my.env"
    file.write_text("A=1\nB='b'\nCONVEXLAB_ADMIN_KEY=key\n")
    said = convex(f"env set --from-file {file}")
    assert said.endswith(
        "2 new; left out, for they are the tools' own: CONVEXLAB_ADMIN_KEY"
    )
    file.write_text("A=1\nB=other\nC=3\n")
    with pytest.raises(InvalidArguments, match=r"^B: set already") as refused:
        convex(f"env set --from-file {file}")
    assert "other" not in str(refused.value)
    assert Environment(db).names() == ["A", "B"]
    said = convex(f"env set --force --from-file {file}")
    assert said.endswith("1 new, 1 changed, 1 as they were")
    assert Environment(db).values() == {"A": "1", "B": "other", "C": "3"}


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ("env put A 1", NotFound, "does not know `put`. It knows: list, get"),
        ("env get NO", NotFound, "`NO` is not set. Set are: none"),
        ("env remove NO", NotFound, "`NO` is not set"),
        ("env remove", InvalidArguments, "written `%convex env remove NAME…`"),
        ("env set", InvalidArguments, "written `%convex env set NAME"),
        ("env set A=1 2", InvalidArguments, "Write A=VALUE or A VALUE"),
        ("env set 9 x", InvalidEnvVar, "no digit first"),
        ("env set CONVEX_SITE_URL x", InvalidEnvVar, "is built-in"),
        ("env set --from-file nowhere.env", NotFound, "There is no file nowhere.env"),
    ],
)
def test_what_cannot_be_is_said(convex, line, error, said):
    with pytest.raises(error) as refused:
        convex(line)
    assert said in str(refused.value)


def test_without_anybody_to_ask_it_says_where_to_set_it(convex, monkeypatch):
    def nobody(_):
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    with pytest.raises(InvalidArguments, match="`convexlab env set KEY`"):
        convex("env set KEY")
