"""What Convex promises of actions, of errors and of what runs by the clock."""

from __future__ import annotations

import pytest

from convexlab.errors import ConvexError, FunctionFailed
from convexlab.testing import Deployment, deployment

FUNCTIONS = """
from convexlab import *
from convexlab import action, internal_action, internal_mutation, mutation, query

def subject_of(identity):
    return identity and identity["subject"]

@query
def count(ctx): return ctx.db.query("notes").count()
@internal_mutation
def note(ctx, by: str):
    ctx.db.insert("notes", {"by": by, "who": subject_of(ctx.auth.get_user_identity())})
@internal_action
async def note_aside(ctx, by: str):
    who = subject_of(await ctx.auth.get_user_identity())
    await ctx.run_mutation(note, by=f"{by} of {who}")
@action
async def counts(ctx):
    before = await ctx.run_query(count)
    await ctx.run_mutation(note, by="an action")
    raise ValueError(f"{before}, then {await ctx.run_query(count)}")
@mutation
def later(ctx):
    ctx.scheduler.run_after(1000, note, by="scheduled mutation")
    ctx.scheduler.run_after(2000, note_aside, by="scheduled action")

@query
def refuses_query(ctx): raise ConvexError({"code": "no"})
@query
def fails_query(ctx): raise KeyError("no")
@mutation
def refuses_mutation(ctx): raise ConvexError({"code": "no"})
@mutation
def fails_mutation(ctx): raise KeyError("no")
@action
async def refuses_action(ctx): raise ConvexError({"code": "no"})
@action
async def fails_action(ctx): raise KeyError("no")

def told(error):
    return error.data if isinstance(error, ConvexError) else f"{type(error).__name__}: {error}"

@action
async def catches(ctx, kind: str):
    said = []
    run = {"query": ctx.run_query, "mutation": ctx.run_mutation, "action": ctx.run_action}
    for what in ("refuses", "fails"):
        try:
            await run[kind](f"m:{what}_{kind}")
        except Exception as error:
            said.append(told(error))
    return said
@mutation
def catches_inside(ctx, kind: str):
    said = []
    run = {"query": ctx.run_query, "mutation": ctx.run_mutation}
    for what in ("refuses", "fails"):
        try:
            run[kind](f"m:{what}_{kind}")
        except Exception as error:
            said.append(told(error))
    return said
"""
CRONS = """
from convexlab import cron_jobs, internal
crons = cron_jobs()
crons.interval("often", hours=1, function=internal.m.note, args={"by": "cron"})
"""


@pytest.fixture
def t() -> Deployment:
    return deployment({"m": FUNCTIONS})


def notes(t: Deployment) -> list[tuple[str, str | None]]:
    return [(note["by"], note["who"]) for note in t.table("notes")]


def test_each_call_of_an_action_is_a_transaction_of_its_own(t: Deployment) -> None:
    with pytest.raises(FunctionFailed, match="0, then 1"):
        t.action("m:counts")
    assert notes(t) == [("an action", None)], "what was committed stays"


def test_what_an_action_calls_is_asked_by_its_caller(t: Deployment) -> None:
    t.as_user(subject="ann").action("m:note_aside", by="x")
    assert notes(t) == [("x of ann", "ann")]


def test_what_runs_by_the_clock_is_asked_by_nobody() -> None:
    t = deployment({"m": FUNCTIONS, "crons": CRONS})
    t.as_user(subject="ann").mutation("m:later")
    t.advance(seconds=3)
    assert notes(t) == [
        ("cron", None),
        ("scheduled mutation", None),
        ("scheduled action of None", None),
    ]


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_error_crosses_a_call_of_an_action_with_its_data(
    t: Deployment, kind: str
) -> None:
    """Of others the text crosses, as what a function that was called has failed with."""
    said = t.action("m:catches", kind=kind)
    assert said == [{"code": "no"}, "FunctionFailed: KeyError: 'no'"]


@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_within_a_transaction_an_error_crosses_as_it_is(
    t: Deployment, kind: str
) -> None:
    assert t.mutation("m:catches_inside", kind=kind) == [
        {"code": "no"},
        "KeyError: 'no'",
    ]


def test_an_error_that_nobody_catches_keeps_its_data(t: Deployment) -> None:
    for call in (t.query, t.mutation, t.action):
        with pytest.raises(ConvexError) as raised:
            call(f"m:refuses_{call.__name__}")
        assert raised.value.data == {"code": "no"}
        assert str(raised.value) == '{"code": "no"}'
