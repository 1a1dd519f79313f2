"""Calls to the index keeper from an event loop, where many wait at the same time.

The keeper answers one question of a connection at a time, so there are a few of them,
and who finds none free waits for one. A connection whose answer nobody waits for any
more is given up: that answer must not be taken for the next one's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab import knobs
from convexlab.functions.processes.keeper_link import (
    HEAD,
    Question,
    Told,
    behind,
    body_of,
    framed,
    keeper_address,
)

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Told).decode


class KeeperCalls:
    """See the module.

    Args:
        folder: the deployment's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: list[_Connection] = []
        self._turns = asyncio.Semaphore(knobs.RUNNER_KEEPER_CALLS)

    async def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        question = framed(_encode(Question(name, at, patience_seconds, request)))
        try:
            async with self._turns:
                async with asyncio.timeout(
                    patience_seconds + knobs.FOLLOWER_ANSWER_SECONDS
                ):
                    told = _decode(await self._answer(question))
        except OSError as error:
            raise behind(name, error) from None
        return body_of(told)

    def close(self) -> None:
        """Hang up where nobody waits."""
        while self._idle:
            self._idle.pop().close()

    async def _answer(self, question: bytes) -> bytes:
        try:
            return await self._answer_on(await self._connection(), question)
        except OSError:  # it died since: a new one is started by whoever comes
            return await self._answer_on(await self._connect(), question)

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return await self._connect()

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_unix_connection(
            _Connection, str(keeper_address(self._folder))
        )
        return connection

    async def _answer_on(self, connection: _Connection, question: bytes) -> bytes:
        try:
            answer = await connection.call(question)
        except BaseException:  # cancelled, too
            connection.close()
            raise
        self._idle.append(connection)
        return answer


class _Connection(asyncio.Protocol):
    """One question at a time.

    Attributes:
        is_open: whether the keeper has not hung up.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.WriteTransport
        self._answer: asyncio.Future[bytes] | None = None
        self._begun = b""

    async def call(self, question: bytes) -> bytes:
        """The answer's bytes.

        Raises:
            ConnectionResetError: the keeper hung up.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer, self._begun = answer, b""
        self._transport.write(question)
        return await answer

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._transport.abort()

    # -- what the transport says ---------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.WriteTransport), transport
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._begun = data = self._begun + data
        if len(data) < HEAD.size or len(data) < HEAD.size + HEAD.unpack_from(data)[0]:
            return
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(data[HEAD.size :])

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del exc
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("it hung up"))
