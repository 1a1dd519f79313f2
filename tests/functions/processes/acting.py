"""A supervisor whose actions run in real processes, their questions answered by a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from convexlab import knobs
from convexlab.documents.encoding import from_stored, from_wire, to_stored, to_wire
from convexlab.functions.processes.messages import (
    BeginPush,
    Failure,
    FinishPush,
    RunAction,
    Source,
)
from convexlab.functions.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convexlab.functions.processes.messages import ActionDone
    from convexlab.functions.processes.runners import Question, Run, Runners

HEADER = """\
import asyncio, os, time
from convexlab import ActionCtx, ConvexError, SyncActionCtx, action, internal_action
"""


class Stage:
    """The runners of a real deployment's folder, and who they ask.

    Attributes:
        asked: what actions have asked for, in order: (kind, path, body).
        answers: what they are told, by kind and path; a Failure is raised there.
        held: kinds that are not answered until `release` is called.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.runners: Runners = supervisor.runners
        self.runners.answer = self._answer
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], Any] = {}
        self.held: dict[str, asyncio.Event] = {}
        self._heard = asyncio.Event()
        self._version = 0

    async def push(self, text: str, **others: str) -> None:
        """Deploy the module `m`, and others by name."""
        self._version += 1
        number = self.supervisor.next_number
        await self.supervisor.write(BeginPush(number(), b"null"))
        sources = [
            Source(path, HEADER + textwrap.dedent(source), version=str(self._version))
            for path, source in {"m": text, **others}.items()
        ]
        await self.supervisor.write(FinishPush(number(), b"null", sources))

    def clear(self) -> None:
        """As it was in the beginning."""
        self.asked.clear()
        self.answers.clear()
        self.held.clear()

    def let_go(self) -> None:
        """Answer what was held."""
        for event in self.held.values():
            event.set()

    async def rests(self) -> None:
        """Wait until nothing runs."""
        runs = [run.done for _, r in self.runners._runners() for run in r.runs.values()]
        await asyncio.gather(*runs, return_exceptions=True)

    async def ends_idle(self) -> None:
        """Have the time go by after which idle runners end."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(knobs, "RUNNER_IDLE_SECONDS", 0.0)
            self.runners._tidy()

    async def kill(self, role: str) -> None:
        """Kill all runners in a role; none of them is given a run any more."""
        killed = self.pids(role)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        while any(w.pid in killed for w in self.runners.workers):  # noqa: ASYNC110
            await asyncio.sleep(0)  # each turn may hear of it

    async def until_gone(self, pid: int) -> None:
        """Wait until a process has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            await asyncio.to_thread(psutil.Process(pid).wait, 60)

    def start(
        self,
        name: str,
        /,
        *,
        plain: bool = False,
        caller: Run | None = None,
        **args: Any,
    ) -> Run:
        """Have `m:name` run; or, with a module, `module:name`."""
        message = RunAction(
            number=self.supervisor.next_number(),
            path=name if ":" in name else f"m:{name}",
            args=to_wire(args),
            identity=None,
            admin=True,
            stored=False,
            environment={},
        )
        return self.runners.run(message, is_plain=plain, caller=caller)

    async def value(self, name: str, /, *, plain: bool = False, **args: Any) -> Any:
        """What `m:name` returns."""
        done = await self.start(name, plain=plain, **args).done
        assert done.failure is None, done.failure
        assert done.value is not None
        return from_wire(done.value)

    async def failure(
        self, name: str, /, *, plain: bool = False, **args: Any
    ) -> Failure:
        """How `m:name` fails."""
        return failure_of(await self.start(name, plain=plain, **args).done)

    async def hears(self, count: int) -> None:
        """Wait until so many questions have come."""
        while len(self.asked) < count:
            self._heard.clear()
            await self._heard.wait()

    def hold(self, kind: str) -> asyncio.Event:
        """Answer no question of a kind until the event is set."""
        return self.held.setdefault(kind, asyncio.Event())

    async def _answer(self, question: Question) -> bytes | Failure:
        self.asked.append((question.kind, question.path, from_stored(question.body)))
        self._heard.set()
        if question.kind in self.held:
            await self.held[question.kind].wait()
        answer = self.answers.get((question.kind, question.path))
        return answer if isinstance(answer, Failure) else to_stored(answer)

    def pids(self, role: str) -> list[int]:
        """Of the runners in a role."""
        return [p["pid"] for p in self.supervisor.processes() if p["role"] == role]


def failure_of(done: ActionDone) -> Failure:
    """How a run failed."""
    assert done.failure is not None, done.value
    return done.failure


@asynccontextmanager
async def acting(folder: Path, text: str) -> AsyncIterator[Stage]:
    """A stage with the module `m`."""
    supervisor = Supervisor(folder, b"s" * 32, sys.stderr.buffer, lambda *_: None)
    await supervisor.open()
    stage = Stage(supervisor)
    try:
        await stage.push(text)
        yield stage
    finally:
        await supervisor.close()
