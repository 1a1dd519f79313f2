"""Handed over: connections that a Jupyter Server of this user has accepted.

Jupyter finds out who wants a WebSocket; then it passes the connection itself, a
descriptor over a Unix socket, and has nothing to do with its frames any more.

    Jupyter ──────── connects ───────▶ gateway
            ◀─────── GREETING ────────           it is awake, and takes connections
            ── size, request, [descriptor] ──▶   as Jupyter has rewritten it; hangs up

The request goes through the door like every other, so it is let in by the secret in
its path. Only for whom Jupyter asks is believed (`clients.py`): the socket is in the
deployment's folder, and its owner's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from aiohttp import web

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable

GREETING: Final = b"convexlab takes connections 1\n"
# The longest request that Tornado takes, and as much that came behind it.
MOST_BYTES: Final = 1 << 17
_SIZE: Final = struct.Struct("<I")


def framed(request: bytes) -> bytes:
    """A request as it goes beside its connection."""
    return _SIZE.pack(len(request)) + request


class HandedOver(web.RequestHandler):
    """A connection that begins with what another process has read of it.

    It serves that one request: where the upgrade is refused, the next request on the
    connection would be for Jupyter.

    Args:
        server: answers it.
        begun: what was read.
        options: of `web.RequestHandler`.
    """

    __slots__ = ("_begun",)

    def __init__(self, server: web.Server, begun: bytes, **options: object) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]
        self._begun = begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is ours; nothing is read from it before what was read already."""
        super().connection_made(transport)
        self.data_received(self._begun)
        self._begun = b""

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """The first answer is the last."""
        resp.force_close()
        return await super().finish_response(request, resp, start_time)


class Reception:
    """Takes connections from whoever comes, for as long as it is open.

    Args:
        listening: the Unix socket.
        begin: gives a connection, of which this was read, its protocol.
    """

    def __init__(
        self, listening: socket.socket, begin: Callable[[bytes], HandedOver]
    ) -> None:
        self._listening = listening
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._taking: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept(), name="reception")

    async def close(self) -> None:
        """Take no more; what was taken stays."""
        tasks = [self._accepting, *self._taking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        while True:
            try:
                giver, _ = await self._loop.sock_accept(self._listening)
            except OSError:  # no descriptors are left: Jupyter relays meanwhile
                await asyncio.sleep(knobs.ACCEPT_AGAIN_SECONDS)
                continue
            task = self._loop.create_task(self._take(giver))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)

    async def _take(self, giver: socket.socket) -> None:
        """Take one connection; a giver that breaks off has none."""
        with giver, contextlib.suppress(OSError, TimeoutError):
            giver.setblocking(False)
            giver.send(GREETING)
            async with asyncio.timeout(knobs.PROBE_SECONDS):
                begun, connection = await self._received(giver)
            await self._serve(begun, connection)

    async def _serve(self, begun: bytes, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            protocol = self._begin(begun)
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except BaseException:
            connection.close()
            raise

    async def _received(self, giver: socket.socket) -> tuple[bytes, socket.socket]:
        """A whole request, and its connection.

        Raises:
            OSError: that is not what came.
        """
        data, fds = b"", []
        try:
            while not _is_whole(data):
                await self._readable(giver)
                more, some, _, _ = socket.recv_fds(giver, MOST_BYTES, 1)
                fds += some
                if not more:
                    raise ConnectionResetError("broken off")
                data += more
            if not fds:  # the kernel drops what there is no number left for
                raise ConnectionAbortedError("no connection")
            connection = socket.socket(fileno=fds[0])
            fds.clear()
            return data[_SIZE.size :], connection
        finally:
            for fd in fds:
                os.close(fd)

    async def _readable(self, sock: socket.socket) -> None:
        seen = asyncio.Event()
        self._loop.add_reader(sock, seen.set)
        try:
            await seen.wait()
        finally:
            self._loop.remove_reader(sock)


def _is_whole(data: bytes) -> bool:
    """Whether this is a frame.

    Raises:
        OSError: it is longer than any.
    """
    if len(data) < _SIZE.size:
        return False
    size: int = _SIZE.unpack_from(data)[0]
    if size > 2 * MOST_BYTES or len(data) - _SIZE.size > size:
        raise ConnectionAbortedError(f"{size:,} bytes are no request")
    return len(data) - _SIZE.size == size
