"""Under writes without a pause everybody goes on, and ends on the last state."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.deployments import PATIENCE_SECONDS, deployment
from tests.journeys.clients import Caller, Session, ending_with

MODULE = """
from convexlab import mutation, query


def number(ctx):
    found = ctx.db.query("numbers").first()
    return found["n"] if found else 0


def slowly(value):
    for _ in range(1_500_000):
        pass
    return value


@mutation
def bump(ctx):
    found = ctx.db.query("numbers").first()
    if found is None:
        ctx.db.insert("numbers", {"n": 1})
    else:
        ctx.db.patch(found["_id"], {"n": found["n"] + 1})
    return number(ctx)


@query
def quick(ctx):
    return number(ctx)


@query
def slow(ctx):
    return slowly(number(ctx))


@query
def double(ctx):
    return slowly(2 * number(ctx))
"""
FOLLOWED = [
    ["n:slow"],
    ["n:double"],
    ["n:slow", "n:double", "n:quick"],
    ["n:quick"],
]
GO_ON = 5  # Transitions, while there is no pause


async def test_no_session_waits_for_ever_while_writes_keep_touching_all(tmp_path):
    """Two slow queries that others keep running, and a quick one beside them."""
    with deployment(tmp_path / "deployment", {"n": MODULE}) as served:
        told = [0] * len(FOLLOWED)
        sessions = [
            Session(served.url, paths, saw=partial(count, told, at))
            for at, paths in enumerate(FOLLOWED)
        ]
        living = [asyncio.create_task(session.live()) for session in sessions]
        caller = Caller(served.url)
        try:
            await ending_with(write_until_all_go_on(caller, sessions, told), *living)
        finally:
            await caller.close()


def count(told: list[int], at: int, _ts: int, _results: object) -> None:
    told[at] += 1


async def write_until_all_go_on(
    caller: Caller, sessions: list[Session], told: list[int]
) -> None:
    """Each write as soon as the one before is answered."""
    await all_come_to(sessions, 0)
    before, last = list(told), 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while min(now - then for now, then in zip(told, before, strict=True)) < GO_ON:
            last = (await caller.call("mutation", "n:bump"))["value"]
    await all_come_to(sessions, last)


async def all_come_to(sessions: list[Session], number: float) -> None:
    for session, paths in zip(sessions, FOLLOWED, strict=True):
        for path in paths:
            value = 2 * number if path == "n:double" else number
            await session.comes_to(path, value)
