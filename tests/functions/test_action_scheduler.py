"""`ctx.scheduler` in actions: what goes to the gateway, and what is refused before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from convexlab import api
from convexlab.documents.encoding import from_stored
from convexlab.errors import CallerError, NotAllowed
from convexlab.functions import determinism
from convexlab.functions.action_context import ActionCtx, SyncActionCtx
from convexlab.functions.awaited_calls import AsyncCalls
from convexlab.functions.run_log import LogLines

Asked = list[tuple[str, str, Any]]


def contexts(asked: Asked) -> tuple[ActionCtx, SyncActionCtx]:
    """Contexts whose questions are noted and answered with an id."""

    def answer(kind: str, path: str, body: bytes) -> bytes:
        asked.append((kind, path, from_stored(body)))
        return b'"an id"'

    async def ask(kind: str, path: str, body: bytes) -> bytes:
        return answer(kind, path, body)

    return ActionCtx(AsyncCalls(ask, LogLines())), SyncActionCtx(answer)


async def test_both_kinds_of_action_ask_for_the_same():
    asked: Asked = []
    awaited, plain = contexts(asked)
    when = datetime.now(UTC) + timedelta(days=1)
    assert await awaited.scheduler.run_at(when, api.m.work, n=7) == "an id"
    assert plain.scheduler.run_at(when, "m.js:work", {"n": 7}) == "an id"
    await awaited.scheduler.cancel("x")
    plain.scheduler.cancel("x")
    due = when.timestamp() * 1000
    question = {"path": "m:work", "args": {"n": 7}, "at": pytest.approx(due)}
    assert asked == [
        ("schedule", "m:work", question),
        ("schedule", "m:work", question),
        ("cancel", "", {"id": "x"}),
        ("cancel", "", {"id": "x"}),
    ]


async def test_a_delay_is_told_as_one():
    """It is from the time of the transaction that schedules."""
    asked: Asked = []
    awaited, plain = contexts(asked)
    await awaited.scheduler.run_after(timedelta(seconds=5), "m:work")
    plain.scheduler.run_after(5000, "m:work")
    question = {"path": "m:work", "args": {}, "after": 5000}
    assert asked == [("schedule", "m:work", question)] * 2


@pytest.mark.parametrize(
    ("method", "args", "said"),
    [
        ("run_after", (-1, "m:work"), "must be non-negative"),
        ("run_after", ("1", "m:work"), "a number of milliseconds or a timedelta"),
        ("run_at", (datetime(2026, 6, 1), "m:work"), "must name its time zone"),
        ("run_after", (0, 5), "5 names no function"),
        ("run_after", (0, "m:work", 5), "arguments go by name"),
        ("run_after", (0, "m:work", {"n": {1}}), "set"),
        ("cancel", (5,), 'takes an Id<"_scheduled_functions">, not 5'),
    ],
)
def test_what_cannot_be_is_refused_in_the_action_itself(
    method: str, args: tuple[Any, ...], said: str
):
    asked: Asked = []
    for ctx in contexts(asked):
        with pytest.raises(CallerError) as raised:
            getattr(ctx.scheduler, method)(*args)
        assert said in str(raised.value)
    assert asked == []


async def test_a_call_without_its_await_was_not_made():
    asked: Asked = []
    calls = AsyncCalls(_refuse, LogLines())
    ActionCtx(calls).scheduler.run_after(0, "m:work")
    with pytest.raises(NotAllowed, match=r"`await ctx\.scheduler\.run_after"):
        calls.expect_all_made()
    assert asked == []


async def _refuse(*_: object) -> bytes:
    raise AssertionError("nothing is asked")


def test_large_arguments_are_warned_of():
    asked: Asked = []
    _, plain = contexts(asked)
    run = determinism.Run("an action", now_ms=0, seed=b"")
    with determinism.inside(run):
        plain.scheduler.run_after(0, "m:work", text="x" * (5 << 20))
    assert run.log.lines[0].startswith("[WARN] ")
    assert len(asked) == 1
