"""Which entries somebody asks for."""

from __future__ import annotations

import pytest

from convexlab.functions.logs.entries import Completion, Origin, Progress
from convexlab.functions.logs.wanted import EVERYTHING, Wanted

ENDED = Completion(
    1.0,
    Origin("Mutation", "admin/users:create", "4711", "a-1"),
    0.1,
    "SyncWorker",
    log_lines=("[LOG] 'Hello'", "[WARN] 'careful'"),
    error="Uncaught ValueError: Straße",
)
CALLED = Progress(2.0, Origin("Action", "ai:run", "4711", "a-2", "a-1"), ("[LOG] 1",))


@pytest.mark.parametrize(
    "wanted",
    [
        EVERYTHING,
        Wanted(function="admin/users:create"),
        Wanted(function="admin/users.js:create"),
        Wanted(function="admin/users"),
        Wanted(function="admin"),
        Wanted(run_type="Mutation"),
        Wanted(level="WARN"),
        Wanted(level="ERROR"),
        Wanted(text="hello"),
        Wanted(text="STRASSE"),
        Wanted(text="users:CREATE"),
        Wanted(request_id="4711", roots=True),
        Wanted(failed=True, ended=True),
    ],
)
def test_what_fits_is_taken(wanted):
    assert wanted.takes(ENDED)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(function="admin/user"),
        Wanted(function="users:create"),
        Wanted(run_type="Query"),
        Wanted(level="DEBUG"),
        Wanted(text="goodbye"),
        Wanted(request_id="4712"),
    ],
)
def test_what_does_not_fit_is_not(wanted):
    assert not wanted.takes(ENDED)


def test_what_a_run_prints_that_an_action_called_is_no_end_and_no_root():
    assert Wanted(request_id="4711").takes(CALLED)
    for wanted in (Wanted(ended=True), Wanted(roots=True), Wanted(failed=True)):
        assert not wanted.takes(CALLED)
