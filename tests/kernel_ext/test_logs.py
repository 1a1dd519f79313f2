"""The log for people: its lines, its filters, and who reads on."""

from __future__ import annotations

import contextlib
from itertools import islice

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.errors import FunctionFailed, NotAllowed, Unavailable
from convexlab_kernel import commands
from convexlab_kernel.client import Database
from convexlab_kernel.logs import Filters, Log, shown

LINE = {
    "messages": ["'a'"],
    "level": "WARN",
    "timestamp": 1_700_000_000_500,
    "isTruncated": False,
}
ENDED = {
    "kind": "Completion",
    "udfType": "HttpAction",
    "identifier": "GET /a",
    "timestamp": 1_700_000_000.5,
    "logLines": [LINE],
    "error": None,
    "requestId": "4711",
    "executionTime": 0.0041,
    "cachedResult": False,
    "success": {"status": "201"},
}
SOURCE = """
from convexlab import mutation, query

@mutation
def create(ctx, text: str):
    print("created", text)

@query
def bad(ctx):
    raise ValueError("no such thing")
"""


def texts(entry, **options) -> list[str]:
    """Without the times, which are this machine's."""
    return [line[20:] for line in shown(entry, **options)]


def test_a_run_is_shown_as_the_official_command_line_shows_it():
    assert texts(ENDED) == ["[CONVEX H(GET /a)] [WARN] 'a'"]
    assert texts(ENDED, success=True)[1] == (
        "[CONVEX H(GET /a)] Function executed in 5 ms, status 201"
    )
    failed = ENDED | {"error": "Uncaught ValueError: x", "logLines": []}
    assert texts(failed, success=True) == [
        "[CONVEX H(GET /a)] [Request ID: 4711] Uncaught ValueError: x"
    ]
    cut = ENDED | {"logLines": [LINE | {"isTruncated": True}]}
    assert texts(cut)[0].endswith("'a' (truncated due to length)")
    known = ENDED | {"cachedResult": True, "logLines": []}
    assert texts(known, success=True)[0].endswith("in 0 ms (cached)")
    assert texts(ENDED | {"kind": "Progress", "logLines": []}, success=True) == []


@pytest.fixture
def logged(db):
    deploy(db, tasks=SOURCE)
    db.mutation("tasks:create", text="one")
    with contextlib.suppress(FunctionFailed):
        db.query("tasks:bad")
    return db


def test_the_newest_are_read_and_then_what_comes(logged):
    log = Log(logged.attachment, Filters(function="tasks:create"))
    assert "'created' 'one'" in shown(log.newest()[-1])[0]
    following = log.follow()
    logged.mutation("tasks:create", text="two")
    assert "'created' 'two'" in shown(next(following))[0]


def test_only_the_owner_reads_it(logged):
    stranger = Database(logged.address, authorization="Bearer nobody")
    with stranger, pytest.raises(NotAllowed, match="needs the deployment's key"):
        Log(stranger.attachment).newest()


def test_a_deployment_that_is_away_is_asked_again_and_not_started(logged):
    log = Log(logged.attachment, Filters(function="tasks"))
    log.newest()
    paused = []

    class Away:
        def get(self, path):
            raise Unavailable("away")

    class Attachment:
        endpoint = Away()

        def refresh(self):
            if len(paused) == 3:
                self.endpoint = logged.attachment.endpoint

    log.attachment, log.pause = Attachment(), paused.append
    logged.mutation("tasks:create", text="three")
    (entry,) = islice(log.follow(), 1)
    assert "'three'" in shown(entry)[0]
    assert paused == sorted(paused)
    assert len(paused) == 3


class Notebook:
    """As much of a notebook as a line needs."""

    def __init__(self, database) -> None:
        self._database = database

    def database(self, _name=None):
        return self._database


def test_a_line_shows_what_was_printed_and_what_failed(logged):
    said = repr(commands.run_line(Notebook(logged), "logs --history 2", {}))
    created, failed = said.split("\n", 1)
    assert created.endswith("[CONVEX M(tasks:create)] [LOG] 'created' 'one'")
    assert "Uncaught ValueError: no such thing" in failed
    assert 'File "convex/tasks.py", line 10, in bad' in failed


def test_a_line_takes_filters(logged):
    said = repr(
        commands.run_line(Notebook(logged), "logs --text created --history 1", {})
    )
    assert said.endswith("'created' 'one'")
    nothing = repr(commands.run_line(Notebook(logged), "logs --function no:such", {}))
    assert nothing == "Nothing was printed, and nothing failed."


def test_following_ends_when_the_cell_is_interrupted(logged, monkeypatch, capsys):
    def interrupted(log):
        yield log.newest()[-1]
        raise KeyboardInterrupt

    monkeypatch.setattr(Log, "follow", interrupted)
    assert commands.run_line(Notebook(logged), "logs --follow --history 1", {}) is None
    out = capsys.readouterr().out
    assert out.count("no such thing") == 4, "the newest, and what came, twice each"
