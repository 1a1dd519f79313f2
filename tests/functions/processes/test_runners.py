from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.functions.processes.acting import acting, failure_of

from convexlab.errors import Closing
from convexlab.functions.processes.messages import Failure

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
@action
async def who(ctx):
    return os.getpid()

@action
def who_plain(ctx):
    return os.getpid()

@action
async def asks(ctx, text):
    return [await ctx.run_query("notes:get", text=text), os.getpid()]

@action
def asks_plain(ctx, text):
    return [ctx.run_query("notes:get", text=text), os.getpid()]

@action
async def dies(ctx):
    await ctx.run_mutation("notes:add")
    os._exit(3)

@action
async def caught(ctx):
    try:
        await ctx.run_query("notes:get")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


async def test_no_process_runs_until_an_action_does(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        assert not stage.pids("shared_runner") + stage.pids("plain_runner")
        assert await stage.value("who") == stage.pids("shared_runner")[0]
        assert not stage.pids("plain_runner")


async def test_async_actions_share_a_process_and_plain_ones_do_not(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        go_on = stage.hold("query")
        together = [stage.start("asks", text=f"{n}") for n in range(3)]
        alone = [stage.start("asks_plain", plain=True, text=f"{n}") for n in range(2)]
        await stage.hears(5)
        assert len(stage.pids("shared_runner")) == 1
        assert len(stage.pids("plain_runner")) == 2
        go_on.set()
        await asyncio.gather(*(run.done for run in [*together, *alone]))
        pids = stage.pids("plain_runner")
        assert await stage.value("who_plain", plain=True) in pids  # used again
        assert stage.pids("plain_runner") == pids


async def test_r1_neighbours_of_a_death_fail_and_none_runs_twice(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        stage.hold("query")
        neighbours = [stage.start("asks", text="a"), stage.start("asks", text="b")]
        await stage.hears(2)
        died = failure_of(await stage.start("dies").done)
        assert died.code == "ProcessDied"
        assert "exit status 3" in died.message
        for neighbour in neighbours:
            failure = failure_of(await neighbour.done)
            assert "shared with 2 others" in failure.message
            assert "not run again" in failure.message
        assert stage.asked.count(("mutation", "notes:add", {})) == 1
        assert await stage.value("who") == stage.pids("shared_runner")[0]


async def test_a_runner_killed_from_outside_says_which_signal(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        stage.hold("query")
        run = stage.start("asks_plain", plain=True, text="a")
        await stage.hears(1)
        os.kill(stage.pids("plain_runner")[0], signal.SIGKILL)
        assert "killed by signal 9" in failure_of(await run.done).message
        assert not stage.pids("plain_runner")


async def test_what_an_answer_raises_is_raised_in_the_action(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        at = ("query", "notes:get")
        stage.answers[at] = Failure('Uncaught ValueError: no\n  File "convex/notes.py"')
        assert await stage.value("caught") == "FunctionFailed: ValueError: no"
        stage.answers[at] = Failure("x", "ConvexError", data=b'{"code":1.0}')
        assert await stage.value("caught") == "ConvexError: {'code': 1.0}"


async def test_a_run_goes_to_the_other_kind_after_a_push(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        assert await stage.value("who", plain=True) == stage.pids("shared_runner")[0]
        assert await stage.value("who_plain") == stage.pids("plain_runner")[0]


async def test_closing_cancels_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    async with acting(tmp_path, MODULE) as stage:
        stage.hold("query")
        run = stage.start("asks", text="a")
        await stage.hears(1)
        await stage.supervisor.close()
        assert failure_of(await run.done).code == "Cancelled"
        with pytest.raises(Closing):
            await stage.start("who").done
