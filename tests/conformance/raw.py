"""A raw WebSocket: what goes over the wire is the test's to say, byte by byte.

Well-behaved clients cannot say what is wrong; this one can. What it hears it reads as
strictly as RFC 6455 asks of a client.
"""

from __future__ import annotations

import asyncio
import os
import struct
from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.deployments import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80


class Message(NamedTuple):
    """One message, or control frame, of the server's."""

    opcode: int
    payload: bytes


class RawSocket:
    """A connection on which nothing is sent but what is written.

    Args:
        reader, writer: of the TCP connection.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._begun = b""

    async def shake_hands(self, path: str) -> int:
        """Ask for a WebSocket; the answer's status."""
        key = b64encode(os.urandom(16)).decode()
        usual = [
            f"GET {path} HTTP/1.1",
            "Host: deployment",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self.write("\r\n".join([*usual, "", ""]).encode())
        return await self.status()

    async def status(self) -> int:
        """Of the next answer over HTTP, whose body is left alone."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    async def rest(self) -> bytes:
        """All that comes until the connection ends."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    def send(self, opcode: int, payload: bytes, *, final: bool = True) -> None:
        """Send one good frame."""
        self.write(frame(opcode, payload, final=final))

    async def receive(self) -> Message | None:
        """The next message or control frame; None at the connection's end."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    first, payload = await self._frame()
                    opcode, is_final = first & 0x0F, bool(first & FIN)
                    assert not first & 0x70, "a bit that nobody agreed on"
                    if opcode >= CLOSE:
                        assert is_final, "a control frame in parts"
                        assert len(payload) < 126, "a long control frame"
                        return Message(opcode, payload)
                    assert (opcode == CONTINUATION) == bool(self._begun), "out of turn"
                    self._begun += payload
                    if is_final:
                        whole, self._begun = self._begun, b""
                        return Message(TEXT, whole)
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def _frame(self) -> tuple[int, bytes]:
        first, size = await self._reader.readexactly(2)
        assert not size & 0x80, "a server masks nothing"
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first, await self._reader.readexactly(size)

    def abort(self) -> None:
        """End the connection as a network does."""
        self._writer.transport.abort()


def frame(opcode: int, payload: bytes, *, final: bool = True, bits: int = 0) -> bytes:
    """A client's frame: masked; `bits` are set beside the opcode."""
    first, size = opcode | bits | (FIN if final else 0), len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    mask = os.urandom(4)
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(size)
    return head + mask + masked


@asynccontextmanager
async def raw_socket(url: str) -> AsyncIterator[RawSocket]:
    """A TCP connection to a deployment; nothing has been said."""
    one = await connect(url)
    try:
        yield one
    finally:
        one.abort()


async def connect(url: str) -> RawSocket:
    """See `raw_socket`; whoever has it aborts it."""
    address = urlsplit(url)
    return RawSocket(
        *await asyncio.open_connection(address.hostname, address.port, limit=1 << 26)
    )


async def status_of(url: str, data: bytes) -> int:
    """The status that a request is answered with."""
    async with raw_socket(url) as socket:
        socket.write(data)
        return await socket.status()
