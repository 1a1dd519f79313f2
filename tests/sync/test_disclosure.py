"""How much of a run a client is told."""

from __future__ import annotations

import json

import pytest

from convexlab.sync.backend import ActionRun, Caller, MutationRun, QueryRun, RunError
from convexlab.sync.disclosure import EVERYTHING, Disclosure

USER = Caller(b'{"subject":"ann"}')
ADMIN = Caller(USER.identity, admin=True)
PLAIN = RunError("Uncaught ValueError: secret", code="InvalidArguments")
CARRIED = RunError("Uncaught ConvexError: secret", b'{"a":1}', "ConvexError")
LINES = ("[LOG] 'secret'",)
PRODUCTION = Disclosure(redacts=True)


@pytest.mark.parametrize("kind", [MutationRun, ActionRun])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PLAIN, RunError("", None, "FunctionFailed")),
        (CARRIED, RunError("", b'{"a":1}', "ConvexError")),
    ],
)
def test_in_production_only_what_is_meant_for_callers_is_told(kind, error, told):
    run = kind(None, error=error, log_lines=LINES)
    said = PRODUCTION.of(run, USER)
    assert (said.error, said.log_lines) == (told, ())


def test_a_cursor_that_is_no_good_is_told_so_that_pages_begin_anew():
    said = "Uncaught InvalidQuery: InvalidCursor: Failed to parse cursor\n  File …"
    told = PRODUCTION.of(MutationRun(None, error=RunError(said)), USER).error
    assert told is not None
    assert told.message == ""
    assert json.loads(told.data or b"") == {
        "isConvexSystemError": True,
        "paginationError": "InvalidCursor",
    }


def test_a_result_is_told_whole():
    run = QueryRun(7, b"[1.0]", log_lines=LINES, journal="j", identity_read=True)
    said = PRODUCTION.of(run, USER)
    assert (said.value, said.journal, said.ts) == (run.value, run.journal, run.ts)
    assert said.identity_read
    assert said.log_lines == ()


@pytest.mark.parametrize(
    ("disclosure", "caller"), [(EVERYTHING, USER), (PRODUCTION, ADMIN)]
)
def test_under_development_and_to_the_owner_everything_is_told(disclosure, caller):
    run = MutationRun(None, error=PLAIN, log_lines=LINES)
    assert disclosure.of(run, caller) is run
