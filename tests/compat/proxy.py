"""A proxy that ends connections in the middle of whatever goes over them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

_BLOCK_BYTES = 1 << 16


class CuttingProxy:
    """Forwards bytes to a port, and ends its first connections after so many of them.

    A connection is aborted, not closed: both ends find it reset, with a frame half
    sent, a request that was not read or a reply that never came.

    Args:
        port: where to.
        chance: says after how many bytes each one ends.
        cuts: how many end; later ones are left alone.
        most_bytes: that go through one before it ends.
    """

    def __init__(
        self, port: int, chance: Random, *, cuts: int, most_bytes: int
    ) -> None:
        self._port = port
        self._chance = chance
        self._most_bytes = most_bytes
        self.cuts_left = cuts
        self.url = ""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection to its end."""
        try:
            to_reader, to_writer = await asyncio.open_connection(
                "127.0.0.1", self._port
            )
        except OSError:  # nobody is there just now
            writer.transport.abort()
            return
        left = self._allowance()
        ways = [
            asyncio.ensure_future(self._carry(reader, to_writer, left)),
            asyncio.ensure_future(self._carry(to_reader, writer, left)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, to_writer):
            end.transport.abort()

    def _allowance(self) -> list[int] | None:
        """What may still pass, shared by both ways; None: everything."""
        if self.cuts_left == 0:
            return None
        self.cuts_left -= 1
        return [self._chance.randrange(1, self._most_bytes)]

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int] | None,
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(_BLOCK_BYTES):
                if left is not None:
                    block = block[: left[0]]
                    left[0] -= len(block)
                writer.write(block)
                await writer.drain()
                if left is not None and left[0] == 0:
                    return


@asynccontextmanager
async def cutting(
    port: int, chance: Random, *, cuts: int, most_bytes: int
) -> AsyncIterator[CuttingProxy]:
    """Such a proxy, listening."""
    proxy = CuttingProxy(port, chance, cuts=cuts, most_bytes=most_bytes)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy
