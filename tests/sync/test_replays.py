from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from convexlab.sync.backend import ActionCall, ActionRun, Caller
from convexlab.sync.claims import Claims
from convexlab.sync.replays import LOST, Replays

if TYPE_CHECKING:
    from pathlib import Path

CALL = ActionCall("g1", "m:f", b'{"a":1.0}')
RUN = ActionRun(b"7")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Runner:
    """Runs what it is asked to, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> ActionRun:
        self.count += 1
        self.begun.set()
        await self.go_on.wait()
        return RUN


async def test_a_repetition_is_answered_by_the_run_that_there_is() -> None:
    clock, runner = Clock(), Runner()
    replays = Replays(clock)
    first = replays.begin(3, CALL, runner)
    again = replays.repeated(3, CALL, connected=1001.0)
    assert again is not None
    waiting = asyncio.ensure_future(again)
    waiting.cancel()  # whoever asks again may go away, too
    await asyncio.wait([waiting])
    runner.go_on.set()
    assert await first is RUN
    later = replays.repeated(3, CALL, connected=1002.0)
    assert later is not None
    assert await later is RUN
    assert runner.count == 1


async def test_another_call_is_no_repetition() -> None:
    clock, runner = Clock(), Runner()
    runner.go_on.set()
    replays = Replays(clock)
    await replays.begin(3, CALL, runner)
    others = [
        (4, CALL),
        (3, ActionCall("g2", "m:g", CALL.args)),
        (3, ActionCall("g2", "m:f", b"{}")),
        (3, ActionCall("g2", "m:f", CALL.args, Caller(b'{"subject":"ann"}'))),
    ]
    for request, call in others:
        assert replays.repeated(request, call, connected=1001.0) is None
    assert replays.repeated(3, CALL, connected=1000.0) is None, "begun as it connected"


async def test_what_an_earlier_run_began_is_not_begun_again(tmp_path: Path) -> None:
    clock, runner = Clock(), Runner()
    killed = Claims(tmp_path / "claims", now=clock)
    begun = Replays(clock, killed).begin(3, CALL, runner)
    await runner.begun.wait()
    begun.cancel()
    claims = Claims(tmp_path / "claims", now=clock)
    replays = Replays(clock, claims)
    lost = replays.repeated(3, CALL, connected=1001.0)
    assert lost is not None
    assert await lost is LOST
    assert replays.repeated(4, CALL, connected=1001.0) is None
    killed.close()
    claims.close()


async def test_outcomes_are_kept_for_a_while_and_claims_for_longer(
    tmp_path: Path,
) -> None:
    clock, runner = Clock(), Runner()
    runner.go_on.set()
    claims = Claims(tmp_path / "claims", now=clock)
    replays = Replays(clock, claims)
    await replays.begin(3, CALL, runner)
    clock.now += 10_000
    await replays.begin(4, CALL, runner)
    lost = replays.repeated(3, CALL, connected=clock.now)
    assert lost is not None
    assert await lost is LOST
    claims.close()
