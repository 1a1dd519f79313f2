"""An action runner: runs users' actions, and asks the gateway on their behalf.

Two roles. A shared runner has an event loop, on which `async def` actions run beside
one another; a plain one runs one plain `def` at a time on its main thread, and hears
the gateway on another.

    gateway ──RunAction──▶ found, loaded ──▶ user code ──Ask──▶ gateway
            ◀─ActionDone──                             ◀─Told──

Modules load on a thread of their own in a shared runner, so that the imports of one
function hold up no other. Each run uses the modules that the store names when it
begins. A run that belongs to the other role is given back, not begun.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.functions.action_context import watch_tasks
from convexlab.functions.action_run import (
    Asked,
    Prepared,
    World,
    cancelled,
    prepare,
    run_async,
    run_plain,
)
from convexlab.functions.definition import split_path
from convexlab.functions.processes.channel import AsyncChannel
from convexlab.functions.processes.deployed import Deployed, identity_of
from convexlab.functions.processes.failures import failure_of, raised_from
from convexlab.functions.processes.messages import (
    ActionDone,
    Ask,
    Become,
    CancelRun,
    FromProcess,
    Misplaced,
    Ready,
    RunAction,
    Told,
    ToProcess,
    to_process_decoder,
)
from convexlab.functions.runner import Outcome

if TYPE_CHECKING:
    from convexlab.functions.action_context import AsyncAsk, PlainAsk
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.recorder import FlightRecorder


def run_shared(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as a shared runner until the channel closes."""
    _be_a_world_of_its_own()
    with asyncio.Runner() as runner:
        runner.run(SharedRunner(_Code(role), channel, recorder).live(first))


def run_alone(
    channel: SyncChannel[ToProcess, FromProcess],
    recorder: FlightRecorder,  # noqa: ARG001 - every role is given one
    role: Become,
    first: list[ToProcess],
) -> None:
    """Live as a plain runner until the channel closes."""
    _be_a_world_of_its_own()
    PlainRunner(_Code(role), channel).live(first)


def _be_a_world_of_its_own() -> None:
    """What actions start ends with them, and gets signals as Python usually does."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        # N.B. not SIG_IGN, which their own children would inherit.
        signal.signal(number, lambda *_: None)


class _Code:
    """The deployment's code, as the store has it at this moment."""

    def __init__(self, role: Become) -> None:
        self._store = open_reader(Path(role.folder))
        self._deployed = Deployed()

    def now(self, environment: dict[str, str]) -> World:
        """What a run that begins now finds around it."""
        with newest_snapshot(self._store.snapshot()) as snapshot:
            tables = self._deployed.catalog(snapshot).table_numbers
            return World(self._deployed.modules(snapshot), tables, environment)


def _asked(message: RunAction) -> Asked:
    return Asked(
        message.path,
        message.args,
        identity_of(message.identity),
        message.admin,
        message.stored,
    )


def _done(number: int, outcome: Outcome) -> ActionDone:
    return ActionDone(number, outcome.value, failure_of(outcome), outcome.log_lines)


# -- async def ----------------------------------------------------------------------


class SharedRunner:
    """See the module.

    Args:
        code: what is deployed.
        channel: to the gateway; handed over to the event loop.
        recorder: is told that the loop turns.
    """

    def __init__(
        self,
        code: _Code,
        channel: SyncChannel[ToProcess, FromProcess],
        recorder: FlightRecorder,
    ) -> None:
        self._code = code
        self._sync = channel
        self._recorder = recorder
        self._is_beating = False
        self._channel: AsyncChannel[ToProcess, FromProcess]
        self._closed = asyncio.Event()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load-modules")
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._entered: set[tuple[Any, str]] = set()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)

    async def live(self, first: list[ToProcess]) -> None:
        """Run what comes until the gateway hangs up."""
        loop = asyncio.get_running_loop()
        watch_tasks(loop)
        sock, rest = self._sync.hand_over()
        sock.setblocking(False)
        self._channel = AsyncChannel(
            to_process_decoder, self._received, self._closed.set
        )
        await loop.create_unix_connection(lambda: self._channel, sock=sock)
        self._channel.send(Ready(0))
        self._received(first)
        self._channel.data_received(rest)
        await self._closed.wait()
        os._exit(0)  # whatever still runs: nobody hears of it any more

    def _received(self, messages: list[ToProcess]) -> None:
        for message in messages:
            match message:
                case RunAction():
                    self._begin(message)
                case Told():
                    self._told(message)
                case CancelRun():
                    task = self._runs.get(message.number)
                    if task is not None:
                        task.cancel(message.reason)
                case _:
                    raise AssertionError(f"a runner does not take {message}")

    def _beat(self) -> None:
        """Say that the loop turns, for as long as there is something to hold it up."""
        self._recorder.beat()
        self._is_beating = bool(self._runs)
        if self._is_beating:
            asyncio.get_running_loop().call_later(knobs.RUNNER_BEAT_SECONDS, self._beat)

    def _begin(self, message: RunAction) -> None:
        task = asyncio.get_running_loop().create_task(self._run(message))
        self._runs[message.number] = task
        if not self._is_beating:
            self._beat()
        task.add_done_callback(lambda _: self._ended(message.number))

    def _ended(self, number: int) -> None:
        del self._runs[number]
        if not self._runs:  # M2, where it disturbs nobody
            for modules, path in self._entered:
                modules.restore(path)
            self._entered.clear()

    async def _run(self, message: RunAction) -> None:
        try:
            prepared = await self._prepared(message)
        except asyncio.CancelledError as error:  # before it began
            self._channel.send(_done(message.number, cancelled(error)))
            return
        if isinstance(prepared, Outcome):
            self._channel.send(_done(message.number, prepared))
        elif not prepared.definition.is_async:
            self._channel.send(Misplaced(message.number))
        else:
            self._entered.add((prepared.world.modules, split_path(message.path)[0]))
            outcome = await run_async(prepared, self._asker(message.number))
            self._channel.send(_done(message.number, outcome))

    async def _prepared(self, message: RunAction) -> Prepared | Outcome:
        """The action and its arguments; loads its module if need be."""
        world = self._code.now(message.environment)
        asked = _asked(message)
        if world.modules.knows(message.path):
            return prepare(world, asked)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader, prepare, world, asked)

    def _asker(self, run: int) -> AsyncAsk:
        async def ask(kind: str, path: str, body: bytes) -> bytes:
            number = next(self._numbers)
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._asked[number] = answer
            self._channel.send(Ask(number, run, kind, path, body))
            try:
                return await answer
            finally:
                del self._asked[number]

        return ask

    def _told(self, told: Told) -> None:
        answer = self._asked.get(told.number)
        if answer is None or answer.done():
            return
        if told.failure is None:
            answer.set_result(told.body)
        else:
            answer.set_exception(raised_from(told.failure))


# -- plain def ------------------------------------------------------------------------


class PlainRunner:
    """See the module.

    Args:
        code: what is deployed.
        channel: to the gateway.
    """

    def __init__(
        self, code: _Code, channel: SyncChannel[ToProcess, FromProcess]
    ) -> None:
        self._code = code
        self._channel = channel
        self._calls: queue.SimpleQueue[RunAction] = queue.SimpleQueue()
        self._asked: dict[int, queue.SimpleQueue[Told]] = {}
        self._numbers = itertools.count(1)

    def live(self, first: list[ToProcess]) -> None:
        """Run what comes, one after another, until the gateway hangs up."""
        self._channel.send([Ready(0)])
        self._take(first)
        threading.Thread(target=self._hear, name="hear-gateway", daemon=True).start()
        while True:
            message = self._calls.get()
            self._channel.send([self._run(message)])

    def _hear(self) -> None:
        while (batch := self._channel.receive(wait=True)) is not None:
            self._take(batch)
        os._exit(0)

    def _take(self, batch: list[ToProcess]) -> None:
        for message in batch:
            match message:
                case RunAction():
                    self._calls.put(message)
                case Told():
                    self._asked[message.number].put(message)
                case CancelRun():
                    pass  # only an `await` can be interrupted
                case _:
                    raise AssertionError(f"a runner does not take {message}")

    def _run(self, message: RunAction) -> ActionDone | Misplaced:
        world = self._code.now(message.environment)
        prepared = prepare(world, _asked(message))
        if isinstance(prepared, Outcome):
            return _done(message.number, prepared)
        if prepared.definition.is_async:
            return Misplaced(message.number)

        outcome = run_plain(prepared, self._asker(message.number))
        world.modules.restore(split_path(message.path)[0])
        return _done(message.number, outcome)

    def _asker(self, run: int) -> PlainAsk:
        def ask(kind: str, path: str, body: bytes) -> bytes:
            number = next(self._numbers)
            answer: queue.SimpleQueue[Told] = queue.SimpleQueue()
            self._asked[number] = answer
            self._channel.send([Ask(number, run, kind, path, body)])
            told = answer.get()
            del self._asked[number]
            if told.failure is not None:
                raise raised_from(told.failure)
            return told.body

        return ask
