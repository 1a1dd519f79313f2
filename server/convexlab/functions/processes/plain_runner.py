"""The plain runner: one plain `def` at a time, on the main thread.

Another thread hears the gateway, so that an answer finds whoever waits for it, be it
the action or a thread that it started.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from convexlab.errors import InvalidArguments
from convexlab.functions import vector_search
from convexlab.functions.action_run import prepare, run_plain
from convexlab.functions.definition import split_path
from convexlab.functions.http_run import ClientGone, prepare_http, serve_plain
from convexlab.functions.processes.action_calls import (
    asked_of,
    done,
    http_asked_of,
)
from convexlab.functions.processes.bodies import PlainIncoming, PlainOutgoing
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
)
from convexlab.functions.processes.runner_searches import PlainSearches
from convexlab.functions.runner import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.functions.action_run import World
    from convexlab.functions.awaited_calls import PlainAsk
    from convexlab.functions.processes.action_calls import Code, Started
    from convexlab.functions.processes.channel import SyncChannel


class PlainRunner:
    """See the module.

    Args:
        code: what is deployed.
        channel: to the gateway.
    """

    def __init__(
        self, code: Code, channel: SyncChannel[ToProcess, FromProcess]
    ) -> None:
        self._code = code
        self._channel = channel
        self._searches = PlainSearches(code)
        self._calls: queue.SimpleQueue[Started] = queue.SimpleQueue()
        self._exchanges: dict[int, PlainExchange] = {}
        self._asked: dict[int, queue.SimpleQueue[Told]] = {}
        self._numbers = itertools.count(1)

    def live(self, first: list[ToProcess]) -> None:
        """Run what comes, one after another, until the gateway hangs up."""
        self._send(Ready(0))
        self._take(first)
        threading.Thread(target=self._hear, name="hear-gateway", daemon=True).start()
        while True:
            message = self._calls.get()
            outcome = self._outcome(message)
            self._exchanges.pop(message.number, None)
            if outcome is None:
                self._send(Misplaced(message.number))
            else:
                self._send(done(message.number, outcome))

    def _send(self, message: FromProcess) -> None:
        self._channel.send([message])

    def _hear(self) -> None:
        while (batch := self._channel.receive(wait=True)) is not None:
            self._take(batch)
        os._exit(0)

    def _take(self, batch: list[ToProcess]) -> None:
        for message in batch:
            match message:
                case RunAction():
                    self._calls.put(message)
                case RunHttp():
                    self._exchanges[message.number] = PlainExchange(message, self._send)
                    self._calls.put(message)
                case Told():
                    self._asked[message.number].put(message)
                case CancelRun():
                    pass  # only an `await` can be interrupted
                case Part() | Took() | Gone():
                    exchange = self._exchanges.get(message.number)
                    if exchange is not None:
                        exchange.hear(message)
                case _:
                    raise AssertionError(f"a runner does not take {message}")

    def _outcome(self, message: Started) -> Outcome | None:
        """What a run comes to; None if it does not belong here."""
        number = message.number
        world = replace(
            self._code.now(message.environment),
            hear=lambda line: self._send(Logged(number, line)),
        )
        if isinstance(message, RunHttp):
            return self._serve(message, world)
        prepared = prepare(world, asked_of(message))
        if isinstance(prepared, Outcome):
            return prepared
        if prepared.definition.is_async:
            return None
        outcome = run_plain(prepared, self._asker(message.number))
        world.modules.restore(split_path(message.path)[0])
        return outcome

    def _serve(self, message: RunHttp, world: World) -> Outcome | None:
        exchange = self._exchanges[message.number]
        prepared = prepare_http(world, http_asked_of(message))
        if isinstance(prepared, Outcome):
            return prepared
        if isinstance(prepared, str):
            exchange.say(prepared, status=404)
            return Outcome()
        handler = prepared.route.handler
        if handler.is_async:
            return None
        ask = self._asker(message.number)
        outcome = serve_plain(prepared, exchange.body, ask, exchange)
        world.modules.restore(handler.module or "http")
        return outcome

    def _asker(self, run: int) -> PlainAsk:
        def ask(kind: str, path: str, body: bytes) -> bytes:
            if kind == vector_search.ASK:
                return self._searches.answer(body)
            number = next(self._numbers)
            answer: queue.SimpleQueue[Told] = queue.SimpleQueue()
            self._asked[number] = answer
            self._send(Ask(number, run, kind, path, body))
            told = answer.get()
            del self._asked[number]
            if told.failure is not None:
                raise raised_from(told.failure)
            return told.body

        return ask


class PlainExchange:
    """The bodies of one request and of its response.

    Args:
        message: the request.
        send: sends the gateway a message.
    """

    def __init__(self, message: RunHttp, send: Callable[[FromProcess], None]) -> None:
        number = message.number
        self._number = number
        self._send = send
        self.body = PlainIncoming(lambda size: send(Took(number, size)))
        self.body.feed(message.body, more=message.more)
        self._outgoing = PlainOutgoing(
            lambda data, more: send(Part(number, data, more))
        )

    def hear(self, message: Part | Took | Gone) -> None:
        """Take in what the gateway says of them."""
        match message:
            case Part():
                self.body.feed(message.data, more=message.more)
            case Took():
                self._outgoing.took(message.size)
            case Gone():
                self.body.fail(InvalidArguments(message.reason))
                self._outgoing.fail(ClientGone())

    def head(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        more: bool,
    ) -> None:
        """See `http_run.PlainReply.head`."""
        self._send(Head(self._number, status, list(headers), body, more))

    def part(self, data: bytes, *, more: bool) -> None:
        """See `http_run.PlainReply.part`."""
        self._outgoing.send(data, more=more)

    def say(self, text: str, *, status: int) -> None:
        """Answer for want of a route."""
        headers = [("Content-Type", "text/plain;charset=UTF-8")]
        self.head(status, headers, text.encode(), more=False)
