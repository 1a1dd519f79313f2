"""What `os.environ` is: another one in each run, and closed to all but actions."""

from __future__ import annotations

import asyncio
import os

import pytest

from convexlab.errors import FunctionFailed, InvalidEnvVar
from convexlab.functions import environment
from convexlab.testing import deployment

MODULE = """
import asyncio, os, subprocess, sys
from convexlab import action, internal_action, internal, query

@action
def read(ctx, name: str):
    return os.environ[name]

@action
async def looks(ctx):
    return {
        "getenv": [os.getenv("KEY"), os.getenv("NO"), os.getenv("NO", "else")],
        "get": [os.environ.get("KEY"), os.environ.get("NO", "else")],
        "in": ["KEY" in os.environ, "NO" in os.environ],
        "keys": sorted({"KEY", "CONVEX_SITE_URL", "HIDDEN"} & os.environ.keys()),
        "dict": dict(os.environ) == os.environ.copy() == os.environ,
        "bytes": os.environb[b"KEY"].decode(),
        "len": len(os.environ) == len(list(os.environ)),
        "expanded": os.path.expandvars("<$KEY $HIDDEN>"),
    }

@action
def change(ctx):
    os.environ["KEY"] = "changed"
    os.environ["NEW"] = "new"
    del os.environ["OTHER"]
    os.environ.setdefault("MORE", "more")
    seen = [os.environ["KEY"], os.environ.pop("NEW"), os.environ.get("OTHER")]
    missing = []
    for name in ("NEW", "NEVER"):
        try:
            del os.environ[name]
        except KeyError as error:
            missing.append(error.args[0])
    return [*seen, *missing, ctx.run_action("m:read", name="KEY")]

@action
def child(ctx, env: dict[str, str] | None = None):
    code = "import os; print(os.environ.get('KEY'), os.environ.get('HIDDEN'))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    return done.stdout.strip()

@action
async def aside(ctx):
    def look():
        return os.environ["KEY"]
    return await asyncio.gather(asyncio.to_thread(look), asyncio.create_task(asyncio.to_thread(look)))
"""


@pytest.fixture(autouse=True)
def hidden(monkeypatch):
    monkeypatch.setenv("HIDDEN", "the machine's own")


@pytest.fixture
def t():
    return deployment({"m": MODULE}, environment={"KEY": "value", "OTHER": "o"})


def test_an_action_reads_the_deployments_variables_as_python_reads_any(t):
    assert t.action("m:looks") == {
        "getenv": ["value", None, "else"],
        "get": ["value", "else"],
        "in": [True, False],
        "keys": ["CONVEX_SITE_URL", "KEY"],
        "dict": True,
        "bytes": "value",
        "len": True,
        "expanded": "<value $HIDDEN>",
    }


def test_a_missing_variable_is_a_key_error(t):
    with pytest.raises(FunctionFailed, match="KeyError: 'NO'"):
        t.action("m:read", name="NO")


def test_the_machines_own_is_not_seen_but_what_python_needs(t):
    assert t.action("m:read", name="PATH") == os.environ["PATH"]
    with pytest.raises(FunctionFailed, match="KeyError: 'HIDDEN'"):
        t.action("m:read", name="HIDDEN")
    assert os.environ["HIDDEN"] == "the machine's own", "outside nothing has changed"
    assert "KEY" not in os.environ


def test_the_addresses_are_always_there(t):
    assert t.action("m:read", name="CONVEX_CLOUD_URL") == "http://cloud.test"
    assert t.action("m:read", name="CONVEX_SITE_URL") == "http://site.test"
    with pytest.raises(InvalidEnvVar):
        deployment({"m": MODULE}, environment={"CONVEX_SITE_URL": "http://other"})


def test_what_an_action_changes_ends_with_it(t):
    said = ["changed", "new", None, "NEW", "NEVER", "value"]
    assert t.action("m:change") == said
    assert t.action("m:read", name="OTHER") == "o"
    assert not {"NEW", "MORE", "KEY"} & os.environ.keys()


def test_what_an_action_starts_sees_what_it_sees(t):
    assert t.action("m:child") == "value None"
    assert t.action("m:child", env={"KEY": "said"}) == "said None"


async def test_two_runs_beside_one_another_have_their_own():
    """On one event loop, as in a shared runner."""
    from tests.functions.acts import acts

    here = acts("""
        @action
        async def swap(ctx, name: str):
            seen = [os.environ.get("KEY")]
            os.environ["KEY"] = name
            await asyncio.sleep(0)
            seen.append(os.environ["KEY"])
            return seen
    """)
    both = await asyncio.gather(
        here.value("swap", name="a"), here.value("swap", name="b")
    )
    assert both == [[None, "a"], [None, "b"]]


def test_what_a_library_sets_for_itself_stays(monkeypatch):
    """Without a run of an action it is the machine's, for all that Python does with it."""
    monkeypatch.delenv("ENVIRONMENT_TEST", raising=False)
    os.environ["ENVIRONMENT_TEST"] = "set"
    assert environment._machine()[b"ENVIRONMENT_TEST"] == b"set"
    del os.environ["ENVIRONMENT_TEST"]
    with pytest.raises(KeyError, match="ENVIRONMENT_TEST"):
        del os.environ["ENVIRONMENT_TEST"]


def test_a_value_that_cannot_be_opened_says_what_to_do():
    seen = environment.Variables({"LOST": None, "KEY": "v"})
    with pytest.raises(environment.EnvVarUnreadable, match="convexlab env set LOST"):
        seen[b"LOST"]
    assert list(seen.keys() - environment._needed.keys()) == [b"KEY"]
    seen[b"LOST"] = b"set by the run"
    assert seen[b"LOST"] == b"set by the run"
