"""A relay of bytes: a network between client and deployment that may be cut.

It knows nothing of what it carries, so that a cut may fall anywhere, also in the
middle of a frame.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK_BYTES = 1 << 16


class Relay:
    """See the module.

    Args:
        target: the deployment's address.

    Attributes:
        url: its own address.
        connections: how many were opened.
    """

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._host, self._port = address.hostname, address.port
        self.connections = 0
        self.url = ""
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End every connection, as a network does."""
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection to its end."""
        try:
            beyond = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        both = {writer, beyond[1]}
        self._open |= both
        try:
            await asyncio.gather(_carry(reader, beyond[1]), _carry(beyond[0], writer))
        except OSError:
            pass
        finally:
            self._open -= both
            for end in both:
                end.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()  # N.B. neither side goes on without the other


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """A relay to a deployment; at its end nothing of it is left."""
    one = Relay(target)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await one.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()
        one.cut()
        await asyncio.gather(*tasks, return_exceptions=True)
