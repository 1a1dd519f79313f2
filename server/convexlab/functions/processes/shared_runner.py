"""The shared runner: `async def` actions, beside one another on one event loop.

Modules load on a thread of their own, so that the imports of one function hold up no
other. An action that computes instead of awaiting does hold up its neighbours: the
loop then stops saying that it turns, and the gateway gives new actions to another.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from convexlab import knobs
from convexlab.errors import ConvexlabError, InvalidArguments
from convexlab.functions import vector_search
from convexlab.functions.action_run import cancelled, prepare, run_async
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.definition import split_path
from convexlab.functions.http_run import ClientGone, prepare_http, serve_async
from convexlab.functions.processes.action_calls import (
    asked_of,
    done,
    http_asked_of,
)
from convexlab.functions.processes.bodies import Incoming, Outgoing
from convexlab.functions.processes.channel import AsyncChannel
from convexlab.functions.processes.failures import raised_from
from convexlab.functions.processes.messages import (
    Ask,
    CancelRun,
    FromProcess,
    Gone,
    Head,
    Logged,
    Misplaced,
    Part,
    Ready,
    RunAction,
    RunHttp,
    Told,
    Took,
    ToProcess,
    to_process_decoder,
)
from convexlab.functions.processes.runner_searches import AwaitedSearches
from convexlab.functions.runner import FunctionError, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.functions.action_run import World
    from convexlab.functions.awaited_calls import AsyncAsk
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.processes.action_calls import Code, Started
    from convexlab.functions.processes.channel import SyncChannel
    from convexlab.functions.processes.recorder import FlightRecorder

T = TypeVar("T")

BROKEN = FunctionError(
    "The deployment could not run this action; its log says why.",
    code=ConvexlabError.code,
)


class SharedRunner:
    """See the module.

    Args:
        code: what is deployed.
        channel: to the gateway; handed over to the event loop.
        recorder: is told that the loop turns.
    """

    def __init__(
        self,
        code: Code,
        channel: SyncChannel[ToProcess, FromProcess],
        recorder: FlightRecorder,
    ) -> None:
        self._code = code
        self._sync = channel
        self._recorder = recorder
        self._is_beating = False
        self._channel: AsyncChannel[ToProcess, FromProcess]
        self._closed = asyncio.Event()
        self._searches = AwaitedSearches(code)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load-modules")
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._exchanges: dict[int, Exchange] = {}
        self._entered: set[tuple[ModuleSet, str]] = set()
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
                case RunAction() | RunHttp():
                    self._begin(message)
                case Told():
                    self._told(message)
                case CancelRun(number=number, reason=reason):
                    self._cancel(number, reason)
                case Gone(number=number, reason=reason):
                    self._gone(number, reason)
                case Part(number=number):
                    if number in self._exchanges:
                        self._exchanges[number].body.feed(
                            message.data, more=message.more
                        )
                case Took(number=number, size=size):
                    if number in self._exchanges:
                        self._exchanges[number].outgoing.took(size)
                case _:
                    raise AssertionError(f"a runner does not take {message}")

    # -- runs -----------------------------------------------------------------------

    def _begin(self, message: Started) -> None:
        if isinstance(message, RunHttp):
            self._exchanges[message.number] = Exchange(message, self._channel.send)
        task = asyncio.get_running_loop().create_task(self._run(message))
        self._runs[message.number] = task
        if not self._is_beating:
            self._beat()
        task.add_done_callback(lambda _: self._ended(message.number))

    def _ended(self, number: int) -> None:
        del self._runs[number]
        self._exchanges.pop(number, None)
        if not self._runs:  # M2, where it disturbs nobody
            for modules, path in self._entered:
                modules.restore(path)
            self._entered.clear()

    def _cancel(self, number: int, reason: str) -> None:
        task = self._runs.get(number)
        if task is not None:
            task.cancel(reason)

    def _gone(self, number: int, reason: str) -> None:
        """A handler goes on without its client; a response that it reads ends."""
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        exchange.body.fail(InvalidArguments(reason))
        exchange.outgoing.fail(ClientGone())
        if exchange.is_streaming:
            self._cancel(number, reason)

    def _beat(self) -> None:
        """Say that the loop turns, for as long as there is something to hold it up."""
        self._recorder.beat()
        self._is_beating = bool(self._runs)
        if self._is_beating:
            asyncio.get_running_loop().call_later(knobs.RUNNER_BEAT_SECONDS, self._beat)

    async def _run(self, message: Started) -> None:
        try:
            outcome = await self._outcome(message)
        except asyncio.CancelledError as error:  # before it began
            outcome = cancelled(error)
        except Exception:  # noqa: BLE001 - the runner's edge: its neighbours go on
            traceback.print_exc()
            outcome = Outcome(error=BROKEN)
        if outcome is None:
            self._channel.send(Misplaced(message.number))
        else:
            self._channel.send(done(message.number, outcome))

    async def _outcome(self, message: Started) -> Outcome | None:
        """What a run comes to; None if it does not belong here."""
        world = self._code.now(message.environment)
        world = replace(world, hear=self._hearer(message.number))
        if isinstance(message, RunHttp):
            return await self._serve(message, world)
        ready = world.modules.knows(message.path)
        prepared = await self._load(
            partial(prepare, world, asked_of(message)), ready=ready
        )
        if isinstance(prepared, Outcome):
            return prepared
        if not prepared.definition.is_async:
            return None
        self._enter(world, split_path(message.path)[0])
        return await run_async(prepared, self._asker(message.number))

    async def _serve(self, message: RunHttp, world: World) -> Outcome | None:
        exchange = self._exchanges[message.number]
        prepared = await self._load(
            partial(prepare_http, world, http_asked_of(message)),
            ready=world.modules.knows_router,
        )
        if isinstance(prepared, Outcome):
            return prepared
        if isinstance(prepared, str):
            await exchange.say(prepared, status=404)
            return Outcome()
        handler = prepared.route.handler
        if not handler.is_async:
            return None
        self._enter(world, handler.module or "http")
        ask = self._asker(message.number)
        return await serve_async(prepared, exchange.body, ask, exchange)

    async def _load(self, prepare_: Callable[[], T], *, ready: bool) -> T:
        """Prepare a run: here, or if modules must be loaded on their own thread."""
        if ready:
            return prepare_()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader, prepare_)

    def _enter(self, world: World, module: str) -> None:
        self._entered.add((world.modules, module))

    def _hearer(self, run: int) -> Callable[[str], None]:
        """Tells the gateway of a run's lines, whatever thread prints them."""
        loop, home = asyncio.get_running_loop(), threading.get_ident()

        def hear(line: str) -> None:
            message = Logged(run, line)
            if threading.get_ident() == home:
                self._channel.send(message)
            else:
                loop.call_soon_threadsafe(self._channel.send, message)

        return hear

    # -- questions --------------------------------------------------------------------

    def _asker(self, run: int) -> AsyncAsk:
        async def ask(kind: str, path: str, body: bytes) -> bytes:
            if kind == vector_search.ASK:
                return await self._searches.answer(body)
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


class Exchange:
    """The bodies of one request and of its response.

    Args:
        message: the request.
        send: sends the gateway a message.
    """

    def __init__(self, message: RunHttp, send: Callable[[FromProcess], None]) -> None:
        number = message.number
        self._number = number
        self._send = send
        self.is_streaming = False
        self.body = Incoming(lambda size: send(Took(number, size)))
        self.body.feed(message.body, more=message.more)
        self.outgoing = Outgoing(lambda data, more: send(Part(number, data, more)))

    async def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        """See `AsyncReply.head`."""
        self.is_streaming = more
        self._send(Head(self._number, status, list(headers), body, more))

    async def part(self, data: bytes, *, more: bool) -> None:
        """See `AsyncReply.part`."""
        await self.outgoing.send(data, more=more)

    async def say(self, text: str, *, status: int) -> None:
        """Answer for want of a route."""
        headers = [("Content-Type", "text/plain;charset=UTF-8")]
        await self.head(status, headers, text.encode(), more=False)
