"""Carriage: a carrier as the gateway has it, started for an errand and ended with it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.errors import ProcessDied
from convexlab.functions.processes.cargo import (
    FromCarrier,
    Refused,
    ToCarrier,
    from_carrier_decoder,
)
from convexlab.functions.processes.channel import AsyncChannel
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


_CARRIER: Final = "convexlab.functions.processes.carrier"


class Carriage:
    """The gateway's end; one question at a time.

    Args:
        log: where the carrier's stderr goes.
    """

    def __init__(self, log: IO[bytes]) -> None:
        self._answer: asyncio.Future[FromCarrier] | None = None
        self._is_lost = False
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", _CARRIER, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env=os.environ | {"TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        theirs.close()
        self._socket = ours
        self._channel: AsyncChannel[FromCarrier, ToCarrier] = AsyncChannel(
            from_carrier_decoder, self._received, self._lost
        )

    async def connect(self) -> None:
        """Join the channel to the running loop."""
        self._socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=self._socket)

    async def ask(self, message: ToCarrier) -> FromCarrier:
        """What the carrier says to this.

        Raises:
            ConvexlabError: that it cannot be done, and why.
            ProcessDied: nothing, any more.
        """
        assert self._answer is None, "one question at a time"
        if self._is_lost:
            raise _died()
        self._answer = asyncio.get_running_loop().create_future()
        self._channel.send(message)
        try:
            answer = await self._answer
        finally:
            self._answer = None
        if isinstance(answer, Refused):
            raise error_from(Failure(answer.message, answer.code))
        return answer

    async def end(self) -> None:
        """End it, whatever it does."""
        self._channel.close()
        try:
            await asyncio.to_thread(self._process.wait, knobs.STOP_PROCESS_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _received(self, messages: list[FromCarrier]) -> None:
        for message in messages:
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(message)

    def _lost(self) -> None:
        self._is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_died())


def _died() -> ProcessDied:
    return ProcessDied("The process that carried the data ended.")


@asynccontextmanager
async def carriage(log: IO[bytes]) -> AsyncIterator[Carriage]:
    """A carrier for one errand."""
    one = Carriage(log)
    try:
        await one.connect()
        yield one
    finally:
        await one.end()
