from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.documents.encoding import to_wire
from convexlab.errors import ConvexlabError, InternalError
from convexlab.functions.processes.messages import (
    BeginPush,
    FinishPush,
    Group,
    Reply,
    RunMutation,
    Source,
)
from convexlab.functions.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convexlab.functions.processes.calls import Answered

MODULE = """
from convexlab import mutation

@mutation
def add(ctx, text):
    ctx.db.insert("notes", {"text": text})
    return len(ctx.db.query("notes").collect())

@mutation
def hang(ctx):
    while True:
        pass
"""


class Gateway:
    """What hears of groups; a call's outcome by its tag."""

    def __init__(self) -> None:
        self.outcomes: dict[Any, list[Reply | ConvexlabError]] = {}
        self.ts: list[int] = []
        self.heard = asyncio.Event()

    def published(self, group: Group, answered: list[Answered]) -> None:
        self.ts.append(group.ts)
        for tag, outcome in answered:
            self.outcomes.setdefault(tag, []).append(outcome)
        self.heard.set()

    async def hears_of(self, *tags: Any) -> None:
        while not self.outcomes.keys() >= set(tags):
            self.heard.clear()
            await self.heard.wait()


@asynccontextmanager
async def supervising(folder: Path) -> AsyncIterator[tuple[Supervisor, Gateway]]:
    gateway = Gateway()
    supervisor = Supervisor(folder, b"s" * 32, sys.stderr.buffer, gateway.published)
    await supervisor.open()
    number = supervisor.next_number
    await supervisor.write(BeginPush(number(), b"null"))
    sources = [Source("m", MODULE, version="1")]
    await supervisor.write(FinishPush(number(), b"null", sources))
    try:
        yield supervisor, gateway
    finally:
        await supervisor.close()


def call(
    supervisor: Supervisor, tag: str, path: str, /, *, id_: str = "", **args: Any
) -> None:
    number = supervisor.next_number()
    message = RunMutation(
        number, id_ or f"g{number}", path, to_wire(args), None, False, False
    )
    supervisor.submit(message, tag)


def writer_pid(supervisor: Supervisor) -> int:
    return next(p["pid"] for p in supervisor.processes() if p["role"] == "writer")


async def test_s1_s2_each_call_is_answered_once_whatever_dies(tmp_path: Path):
    async with supervising(tmp_path) as (supervisor, gateway):
        for n in range(20):
            call(supervisor, f"before {n}", "m:add", text=f"{n}", id_=f"s:1:{n}")
        call(supervisor, "again", "m:add", text="3", id_="s:1:3")
        call(supervisor, "hang", "m:hang", id_="s:1:hang")
        for n in range(20):
            call(supervisor, f"after {n}", "m:add", text=f"{n}")
        call(supervisor, "hang again", "m:hang", id_="s:1:hang")
        await gateway.hears_of("hang", "hang again")
        assert "after 0" not in gateway.outcomes
        await gateway.hears_of("after 19")
        for n in range(20):  # hung up on in the middle of a load
            call(supervisor, f"late {n}", "m:add", text=f"{n}", id_=f"s:2:{n}")
            if n == 10:
                await gateway.hears_of("late 0")
                os.kill(writer_pid(supervisor), signal.SIGKILL)
        await gateway.hears_of(*(f"late {n}" for n in range(20)))
        assert all(len(outcomes) == 1 for outcomes in gateway.outcomes.values())
        outcomes = {tag: outcome for tag, (outcome,) in gateway.outcomes.items()}
        for tag in ("hang", "hang again"):  # one death is enough for both
            hung = outcomes.pop(tag)
            assert isinstance(hung, Reply)
            assert hung.failure is not None
            assert hung.failure.code == "ProcessDied"
        counted = [o.value for o in outcomes.values() if isinstance(o, Reply)]
        failed = [o for o in outcomes.values() if isinstance(o, Reply) and o.failure]
        assert len(failed) <= 1, failed  # the one that ran when it was killed
        assert outcomes["again"].value == outcomes["before 3"].value  # type: ignore[union-attr]
        assert len(set(counted)) == 60 - len(failed) + bool(failed)
        assert gateway.ts == sorted(gateway.ts)  # S3


async def test_s4_writers_that_die_in_a_row_end_the_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with supervising(tmp_path) as (supervisor, gateway):
        claimed = supervisor.ts + 10**9
        supervisor.raise_clock(claimed)
        os.kill(writer_pid(supervisor), signal.SIGKILL)
        call(supervisor, "it goes on", "m:add", text="a")
        await gateway.hears_of("it goes on")
        assert supervisor.ts > claimed  # T1, also of what a client claims to know
        assert not supervisor.failed.done()
        monkeypatch.setattr(knobs, "WRITER_DEATHS", 0)
        os.kill(writer_pid(supervisor), signal.SIGKILL)
        with pytest.raises(InternalError, match="died in a row"):
            await supervisor.failed


async def test_s4_a_task_that_raises_ends_the_deployment(tmp_path: Path):
    async with supervising(tmp_path) as (supervisor, _):

        async def no_more_processes() -> None:
            raise BlockingIOError("fork: no")

        supervisor._go_on("new reader", no_more_processes())
        with pytest.raises(InternalError, match="new reader"):
            await supervisor.failed
