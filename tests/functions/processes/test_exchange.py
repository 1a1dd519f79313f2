from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from convexlab.errors import Closing
from convexlab.functions.processes.exchange import Cut, Exchange
from convexlab.functions.processes.messages import (
    ActionDone,
    Failure,
    Gone,
    Head,
    Part,
    Took,
)

HEAD = Head(1, 200, [], b"", True)
OVER = ActionDone(1, None, None, [])
FAILED = ActionDone(1, None, Failure("Uncaught ValueError: no"), [])


class Heard:
    """A worker that only listens."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def send(self, message: Any) -> None:
        self.messages.append(message)


def ended(done: ActionDone | Exception) -> asyncio.Future[ActionDone]:
    future: asyncio.Future[ActionDone] = asyncio.get_running_loop().create_future()
    if isinstance(done, Exception):
        future.set_exception(done)
    else:
        future.set_result(done)
    return future


def begun(*, uploads: bool = False) -> tuple[Exchange, Heard]:
    exchange, worker = Exchange(1, uploads=uploads), Heard()
    exchange.begin(cast("Any", worker))
    return exchange, worker


async def test_a_response_is_read_part_by_part() -> None:
    exchange, worker = begun()
    exchange.hear(HEAD)
    exchange.hear(Part(1, b"ab", True))
    exchange.hear(Part(1, b"", False))
    exchange.over(ended(OVER))
    assert await exchange.head() is HEAD
    assert [await exchange.read(), await exchange.read()] == [b"ab", b""]
    assert worker.messages == [Took(1, 2)]


async def test_a_failure_before_the_head_stands_for_it() -> None:
    exchange, _ = begun()
    exchange.over(ended(FAILED))
    assert await exchange.head() is FAILED.failure
    refused = Exchange(1, uploads=False)
    refused.over(ended(Closing("it stops")))
    with pytest.raises(Closing):
        await refused.head()


async def test_a_failure_after_the_head_cuts_the_body() -> None:
    exchange, _ = begun()
    exchange.hear(HEAD)
    exchange.hear(Part(1, b"a", True))
    exchange.over(ended(FAILED))
    assert await exchange.read() == b"a"
    with pytest.raises(Cut):
        await exchange.read()


async def test_an_upload_waits_for_a_runner_and_ends_with_the_run() -> None:
    exchange = Exchange(1, uploads=True)
    sending = asyncio.create_task(exchange.upload(b"a", more=True))
    await asyncio.sleep(0)
    assert not sending.done()
    worker = Heard()
    exchange.begin(cast("Any", worker))
    await sending
    assert worker.messages == [Part(1, b"a", True)]
    exchange.over(ended(OVER))
    with pytest.raises(Cut):
        await exchange.upload(b"b", more=True)


async def test_the_runner_hears_that_the_client_is_gone_also_later() -> None:
    exchange, worker = begun()
    exchange.gone("away")
    assert worker.messages == [Gone(1, "away")]
    waiting, late = Exchange(1, uploads=False), Heard()
    waiting.gone("away")
    waiting.begin(cast("Any", late))
    assert late.messages == [Gone(1, "away")]
